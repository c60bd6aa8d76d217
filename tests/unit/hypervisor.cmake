# The VMM's library. What executes privileged instructions is compiled against a scripted processor:
# fake_arch has another hypervisor/arch/instructions.hpp.
set(hypervisor ${PROJECT_SOURCE_DIR}/hypervisor)
set(fake_arch ${CMAKE_CURRENT_LIST_DIR}/fake_arch)
# In functions with the calling convention of ExitFunction clang cannot make stack frames whose size
# is found out when they are entered, as the address checker has them by default.
set(fixed_frames "SHELL:-mllvm -asan-stack-dynamic-alloca=0")

# hvp_checked_rooms(NAME room...): these rooms of hypervisor/, each source once for all tests.
function(hvp_checked_rooms name)
    list(TRANSFORM ARGN REPLACE "(.+)" "${hypervisor}/\\1/*.cpp" OUTPUT_VARIABLE patterns)
    file(GLOB sources CONFIGURE_DEPENDS ${patterns})
    add_library(${name} STATIC ${sources})
    hvp_checked(${name})
    target_include_directories(${name} BEFORE PRIVATE ${fake_arch})
    target_compile_options(${name} PRIVATE ${fixed_frames})
    target_precompile_headers(${name} REUSE_FROM checked_headers)
endfunction()
hvp_checked_rooms(arch_checked arch)
hvp_checked_rooms(ept_checked ept guest_memory)
hvp_checked_rooms(hooks_checked hooks)
hvp_checked_rooms(vcpu_checked vmx vcpu vcpu/setup exits)
target_sources(vcpu_checked PRIVATE unit/vcpu/fake_entry.cpp ${hypervisor}/arch/fix_up.S)

# hvp_hypervisor_test(NAME LIBS library... TESTS room/subject...): a program for a few subjects, not one
# for all: after a change of a header only these libraries and tests are compiled, and so for each
# mutation.
function(hvp_hypervisor_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LIBS;TESTS")
    list(TRANSFORM arg_TESTS REPLACE "(.+)" "unit/\\1_test.cpp" OUTPUT_VARIABLE sources)
    hvp_test(${name} ${sources} LIBS ${arg_LIBS})
    target_include_directories(${name} BEFORE PRIVATE ${fake_arch})
    target_compile_options(${name} PRIVATE ${fixed_frames})
endfunction()
hvp_hypervisor_test(arch_tests LIBS arch_checked
    TESTS arch/address_space arch/arch_types arch/memory_functions arch/processor_state arch/segments trace/ring)
hvp_hypervisor_test(vmx_setup_tests LIBS vcpu_checked arch_checked
    TESTS launch vmcs/current_vmcs vmcs/vmx_tables vmx/adjusted_controls vmx/capabilities vmx/vmx_operation
    vcpu/departure vcpu/setup/guest_segments vcpu/host_environment vcpu/host_traps vcpu/write_vmcs)
hvp_hypervisor_test(vmx_exit_tests LIBS vcpu_checked arch_checked
    TESTS exits/control_registers exits/dispatch exits/handlers vcpu/session vcpu/virtual_processor)
hvp_hypervisor_test(ept_exit_tests LIBS vcpu_checked arch_checked
    TESTS exits/ept)
hvp_hypervisor_test(injection_tests LIBS vcpu_checked arch_checked
    TESTS events/arbitration events/delivery exits/external_interrupts)
hvp_hypervisor_test(single_step_tests LIBS vcpu_checked arch_checked
    TESTS exits/single_step)

# The process needs the C library's own.
set_source_files_properties(${hypervisor}/arch/memory_functions.cpp PROPERTIES
    COMPILE_DEFINITIONS "memcpy=hvp_memcpy;memset=hvp_memset;memmove=hvp_memmove;memcmp=hvp_memcmp"
    COMPILE_OPTIONS -fno-builtin SKIP_PRECOMPILE_HEADERS ON)
