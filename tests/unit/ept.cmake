# EPT: tables in ordinary memory, and a model of processors that cache translations.
file(GLOB tables CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/hypervisor/ept/tables*.cpp)
hvp_test(ept_tests
    unit/ept/entry_test.cpp unit/guest_memory/page_walk_test.cpp unit/ept/invalidation_test.cpp
    unit/ept/misconfiguration_test.cpp unit/guest_memory/working_set_test.cpp unit/ept/random_edits_test.cpp
    unit/ept/tables_test.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/guest_memory/page_walk.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/guest_memory/working_set.cpp
    ${tables})
target_include_directories(ept_tests BEFORE PRIVATE ${CMAKE_CURRENT_LIST_DIR}/fake_arch)

# All of memory, by the MTRRs, and the views of it.
hvp_test(ept_identity_tests
    unit/arch/mtrr_test.cpp unit/ept/identity_test.cpp
    unit/hooks/processor_view_test.cpp unit/hooks/random_views_test.cpp unit/hooks/split_page_test.cpp
    unit/hooks/split_views_machine.cpp unit/hooks/split_views_random_test.cpp unit/hooks/split_views_test.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/arch/mtrr.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/hooks/split_page.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/ept/identity.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/hooks/processor_view.cpp
    ${PROJECT_SOURCE_DIR}/hypervisor/hooks/split_views.cpp
    ${tables})
target_include_directories(ept_identity_tests BEFORE PRIVATE ${CMAKE_CURRENT_LIST_DIR}/fake_arch)

# Hundreds of thousands of random edits: worth optimising. (The headers that are compiled once are not.)
set(edited ept/identity hooks/split_views hooks/split_page arch/mtrr)
list(TRANSFORM edited REPLACE "(.+)" "${PROJECT_SOURCE_DIR}/hypervisor/\\1.cpp")
set_source_files_properties(${edited} ${tables} PROPERTIES COMPILE_OPTIONS -O1 SKIP_PRECOMPILE_HEADERS ON)
