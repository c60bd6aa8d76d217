// Calls a language's handler so that an exception within it finds out what it has interrupted: the
// handlers of these two functions are in exception_collision.cpp, and find the dispatcher context
// where it is put here. A NOP stands behind each call, for a return address in an epilogue would
// mean that the function has no handler any more.
// [Windows: x64 exception handling, "Unwind procedure"]

    .text
    .macro call_handler name, on_exception
// Disposition name(ExceptionRecord*, uint64_t establisher, Context*, DispatcherContext*)
    .globl \name
    .def \name; .scl 2; .type 32; .endef
    .seh_proc \name
\name:
    subq    $0x28, %rsp
    .seh_stackalloc 0x28
    .seh_handler \on_exception, @except, @unwind
    .seh_endprologue
    movq    %r9, 0x20(%rsp)
    callq   *0x30(%r9)
    nop
    addq    $0x28, %rsp
    ret
    .seh_endproc
    .endm

    call_handler call_while_searching, exception_while_searching
    call_handler call_while_unwinding, exception_while_unwinding
