# The VMM's library. What executes privileged instructions is compiled against a scripted processor:
# fake_arch has another hypervisor/arch/instructions.hpp.
set(hypervisor ${PROJECT_SOURCE_DIR}/hypervisor)
set(fake_arch ${CMAKE_CURRENT_LIST_DIR}/fake_arch)
add_library(hypervisor_checked STATIC
    ${hypervisor}/arch/address_space.cpp ${hypervisor}/arch/memory_functions.cpp
    ${hypervisor}/arch/processor_state.cpp ${hypervisor}/arch/segments.cpp
    ${hypervisor}/vmx/control_setup.cpp ${hypervisor}/vmx/exit_dispatch.cpp
    ${hypervisor}/vmx/ept_setup.cpp ${hypervisor}/vmx/guest_segments.cpp ${hypervisor}/vmx/host_environment.cpp
    ${hypervisor}/vmx/host_traps.cpp ${hypervisor}/vmx/interrupt_setup.cpp
    ${hypervisor}/vmx/single_step.cpp ${hypervisor}/vmx/support.cpp ${hypervisor}/vmx/virtual_processor.cpp unit/fake_entry.cpp)
hvp_checked(hypervisor_checked)
target_include_directories(hypervisor_checked BEFORE PRIVATE ${fake_arch})
target_precompile_headers(hypervisor_checked REUSE_FROM checked_headers)

# A program for each subject, not one for all: who changes a header waits for its own tests alone, and
# so does each mutation.
function(hvp_hypervisor_test name)
    list(TRANSFORM ARGN REPLACE "(.+)" "unit/\\1_test.cpp" OUTPUT_VARIABLE sources)
    hvp_test(${name} ${sources} LIBS hypervisor_checked)
    target_include_directories(${name} BEFORE PRIVATE ${fake_arch})
endfunction()
hvp_hypervisor_test(arch_tests
    address_space arch_types memory_functions processor_state ring segments)
hvp_hypervisor_test(vmx_setup_tests
    control_setup current_vmcs guest_segments host_environment host_traps launch operation support
    vmx_tables write_vmcs)
hvp_hypervisor_test(vmx_exit_tests exit_dispatch virtual_processor)
hvp_hypervisor_test(ept_exit_tests ept_exit)
hvp_hypervisor_test(injection_tests deliver injection interrupts)
hvp_hypervisor_test(single_step_tests single_step)

# The process needs the C library's own.
set_source_files_properties(${hypervisor}/arch/memory_functions.cpp PROPERTIES
    COMPILE_DEFINITIONS "memcpy=hvp_memcpy;memset=hvp_memset;memmove=hvp_memmove;memcmp=hvp_memcmp"
    COMPILE_OPTIONS -fno-builtin SKIP_PRECOMPILE_HEADERS ON)
