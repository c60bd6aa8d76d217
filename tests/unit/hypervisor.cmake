# The VMM's pure parts, and what must hold of the sources as a whole.
hvp_test(hypervisor_tests
    unit/segments_test.cpp unit/vmx_tables_test.cpp unit/launch_test.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/arch/segments.cpp)

hvp_test(repository_tests
    repository/citations_test.cpp repository/layers_test.cpp repository/sources.cpp)
target_compile_definitions(repository_tests PRIVATE HVP_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
