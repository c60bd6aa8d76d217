# EPT: tables in ordinary memory, and processors that remember what they have seen of them.
hvp_test(ept_tests
    unit/ept/entry_test.cpp unit/ept/guest_paging_test.cpp unit/ept/invalidation_test.cpp
    unit/ept/misconfiguration_test.cpp unit/ept/needed_pages_test.cpp unit/ept/random_edits_test.cpp
    unit/ept/tables_test.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/ept/guest_paging.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/ept/join_and_share.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/ept/needed_pages.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/ept/tables.cpp)
target_include_directories(ept_tests BEFORE PRIVATE ${CMAKE_CURRENT_LIST_DIR}/fake_arch)

# All of memory, by the MTRRs, and the views of it.
hvp_test(ept_identity_tests
    unit/ept/faces_test.cpp unit/ept/identity_test.cpp unit/ept/mtrr_test.cpp
    unit/ept/processor_view_test.cpp
    unit/ept/random_views_test.cpp unit/ept/views_test.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/arch/mtrr.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/ept/faces.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/ept/identity.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/ept/join_and_share.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/ept/processor_view.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/ept/tables.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/ept/views.cpp)
target_include_directories(ept_identity_tests BEFORE PRIVATE ${CMAKE_CURRENT_LIST_DIR}/fake_arch)

# Hundreds of thousands of random edits: worth optimising. (The headers that are compiled once are not.)
set(edited tables join_and_share identity views faces)
list(TRANSFORM edited REPLACE "(.+)" "${PROJECT_SOURCE_DIR}/hypervisor/ept/\\1.cpp")
set_source_files_properties(${edited} ${PROJECT_SOURCE_DIR}/hypervisor/arch/mtrr.cpp
    PROPERTIES COMPILE_OPTIONS -O1 SKIP_PRECOMPILE_HEADERS ON)
