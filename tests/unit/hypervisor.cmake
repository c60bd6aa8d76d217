# The VMM's library. What executes privileged instructions is compiled against a scripted processor:
# fake_arch has another hypervisor/arch/instructions.hpp.
set(hypervisor ${PROJECT_SOURCE_DIR}/hypervisor)
set(fake_arch ${CMAKE_CURRENT_LIST_DIR}/fake_arch)
file(GLOB_RECURSE hypervisor_checked_sources CONFIGURE_DEPENDS ${hypervisor}/*.cpp)
add_library(hypervisor_checked STATIC ${hypervisor_checked_sources} unit/vcpu/fake_entry.cpp)
hvp_checked(hypervisor_checked)
target_include_directories(hypervisor_checked BEFORE PRIVATE ${fake_arch})
# In functions with the calling convention of ExitFunction clang cannot make stack frames whose size
# is found out when they are entered, as the address checker has them by default.
set(fixed_frames "SHELL:-mllvm -asan-stack-dynamic-alloca=0")
target_compile_options(hypervisor_checked PRIVATE ${fixed_frames})
target_precompile_headers(hypervisor_checked REUSE_FROM checked_headers)

# A program for each subject, not one for all: who changes a header waits for its own tests alone, and
# so does each mutation.
function(hvp_hypervisor_test name)
    list(TRANSFORM ARGN REPLACE "(.+)" "unit/\\1_test.cpp" OUTPUT_VARIABLE sources)
    hvp_test(${name} ${sources} LIBS hypervisor_checked)
    target_include_directories(${name} BEFORE PRIVATE ${fake_arch})
    target_compile_options(${name} PRIVATE ${fixed_frames})
endfunction()
hvp_hypervisor_test(arch_tests
    arch/address_space arch/arch_types arch/memory_functions arch/processor_state arch/segments trace/ring)
hvp_hypervisor_test(vmx_setup_tests
    launch vmcs/current_vmcs vmcs/vmx_tables vmx/adjusted_controls vmx/capabilities vmx/vmx_operation
    vcpu/guest_segments vcpu/host_environment vcpu/host_traps vcpu/write_vmcs)
hvp_hypervisor_test(vmx_exit_tests
    exits/control_registers exits/dispatch exits/handlers vcpu/session vcpu/virtual_processor)
hvp_hypervisor_test(ept_exit_tests exits/ept)
hvp_hypervisor_test(injection_tests events/arbitration events/delivery exits/external_interrupts)
hvp_hypervisor_test(single_step_tests exits/single_step)

# The process needs the C library's own.
set_source_files_properties(${hypervisor}/arch/memory_functions.cpp PROPERTIES
    COMPILE_DEFINITIONS "memcpy=hvp_memcpy;memset=hvp_memset;memmove=hvp_memmove;memcmp=hvp_memcmp"
    COMPILE_OPTIONS -fno-builtin SKIP_PRECOMPILE_HEADERS ON)
