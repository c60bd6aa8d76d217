# The VMM's pure parts.
hvp_test(hypervisor_tests
    unit/segments_test.cpp unit/vmx_tables_test.cpp unit/launch_test.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/arch/segments.cpp)
