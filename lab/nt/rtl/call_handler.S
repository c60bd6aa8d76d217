// Calls a language-specific handler. An exception inside it must find out what it has interrupted:
// the handlers of these two functions (exception_collision.cpp) read the dispatcher context from
// where it is stored here. A NOP follows each call: with a return address in an epilogue the
// unwinder would not call the function's handler.
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
