# EPT: tables in ordinary memory, and a model of processors that cache translations.
hvp_hypervisor_test(ept_tests LIBS ept_checked arch_checked
    TESTS ept/entry ept/invalidation ept/misconfiguration ept/random_edits ept/tables
    guest_memory/page_walk guest_memory/working_set)

# All of memory, by the MTRRs, and the views of it.
hvp_hypervisor_test(ept_identity_tests LIBS hooks_checked ept_checked arch_checked
    TESTS arch/mtrr ept/identity hooks/processor_view hooks/random_views hooks/split_page
    hooks/split_views_random hooks/split_views)
target_sources(ept_identity_tests PRIVATE unit/hooks/split_views_machine.cpp)

# Hundreds of thousands of random edits: worth optimising. (The headers that are compiled once are not.)
file(GLOB tables CONFIGURE_DEPENDS ${hypervisor}/ept/tables*.cpp)
set(edited ept/identity hooks/split_views hooks/split_page arch/mtrr)
list(TRANSFORM edited REPLACE "(.+)" "${hypervisor}/\\1.cpp")
set_source_files_properties(${edited} ${tables} PROPERTIES COMPILE_OPTIONS -O1 SKIP_PRECOMPILE_HEADERS ON)
