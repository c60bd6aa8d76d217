# The VMM's library. What executes privileged instructions is compiled against a scripted processor:
# fake_arch has another hypervisor/arch/instructions.hpp.
set(hypervisor ${PROJECT_SOURCE_DIR}/hypervisor)
set(fake_arch ${CMAKE_CURRENT_LIST_DIR}/fake_arch)
hvp_test(hypervisor_tests
    unit/address_space_test.cpp unit/arch_types_test.cpp unit/control_setup_test.cpp
    unit/current_vmcs_test.cpp unit/ept_exit_test.cpp unit/exit_dispatch_test.cpp unit/fake_entry.cpp
    unit/guest_segments_test.cpp unit/host_environment_test.cpp unit/host_traps_test.cpp
    unit/deliver_test.cpp unit/injection_test.cpp
    unit/launch_test.cpp unit/memory_functions_test.cpp unit/operation_test.cpp
    unit/processor_state_test.cpp unit/ring_test.cpp unit/segments_test.cpp unit/single_step_test.cpp unit/support_test.cpp
    unit/virtual_processor_test.cpp unit/vmx_tables_test.cpp unit/write_vmcs_test.cpp
    ${hypervisor}/arch/address_space.cpp ${hypervisor}/arch/memory_functions.cpp
    ${hypervisor}/arch/processor_state.cpp ${hypervisor}/arch/segments.cpp
    ${hypervisor}/vmx/control_setup.cpp ${hypervisor}/vmx/exit_dispatch.cpp
    ${hypervisor}/vmx/ept_setup.cpp ${hypervisor}/vmx/guest_segments.cpp ${hypervisor}/vmx/host_environment.cpp
    ${hypervisor}/vmx/host_traps.cpp ${hypervisor}/vmx/single_step.cpp ${hypervisor}/vmx/support.cpp
    ${hypervisor}/vmx/virtual_processor.cpp)
target_include_directories(hypervisor_tests BEFORE PRIVATE ${fake_arch})
# The process needs the C library's own.
set_source_files_properties(${hypervisor}/arch/memory_functions.cpp PROPERTIES
    COMPILE_DEFINITIONS "memcpy=hvp_memcpy;memset=hvp_memset;memmove=hvp_memmove;memcmp=hvp_memcmp"
    COMPILE_OPTIONS -fno-builtin SKIP_PRECOMPILE_HEADERS ON)
