# The tool and the machine, with sanitizers and coverage: for their unit tests, and as a program of
# its own, hvp_checked, that lab tests can run instead of hvp (tests/coverage).
set(machine ${PROJECT_SOURCE_DIR}/lab/machine)
set(tool ${PROJECT_SOURCE_DIR}/tool)
file(GLOB machine_sources CONFIGURE_DEPENDS ${machine}/*.cpp)
file(GLOB_RECURSE tool_sources CONFIGURE_DEPENDS ${tool}/*.cpp)
list(FILTER tool_sources EXCLUDE REGEX "/main\\.cpp$")

add_library(machine_checked OBJECT ${machine_sources})
hvp_checked(machine_checked)
hvp_fuzzed(machine_checked)
target_link_libraries(machine_checked PUBLIC fmt::fmt util)
add_library(tool_checked OBJECT ${tool_sources})
hvp_checked(tool_checked)
hvp_fuzzed(tool_checked)
target_link_libraries(tool_checked PUBLIC fmt::fmt nlohmann_json::nlohmann_json CLI11::CLI11 util)
target_precompile_headers(tool_checked PRIVATE <tool/base/json_templates.hpp>)

file(GLOB machine_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/lab_machine/*_test.cpp)
hvp_test(machine_tests ${machine_tests} LIBS machine_checked rapidcheck)
file(GLOB_RECURSE tool_tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/tool/*_test.cpp)
hvp_test(tool_tests ${tool_tests} ${CMAKE_CURRENT_LIST_DIR}/../repository/sources.cpp
    LIBS tool_checked machine_checked pe_checked rapidcheck)

add_executable(hvp_checked ${tool}/cli/main.cpp)
hvp_checked(hvp_checked)
target_link_libraries(hvp_checked PRIVATE tool_checked machine_checked pe_checked)
