# The tool and the machine, with sanitizers and coverage: for their unit tests, and as a program of
# its own, hvp_checked, that lab tests can run instead of hvp (tests/coverage).
set(machine ${PROJECT_SOURCE_DIR}/lab/machine)
set(tool ${PROJECT_SOURCE_DIR}/tool)
file(GLOB machine_sources CONFIGURE_DEPENDS ${machine}/*.cpp)
file(GLOB tool_sources CONFIGURE_DEPENDS ${tool}/*.cpp)
list(FILTER tool_sources EXCLUDE REGEX "/main\\.cpp$")

add_library(machine_checked OBJECT ${machine_sources})
hvp_checked(machine_checked)
target_link_libraries(machine_checked PUBLIC fmt::fmt util)
add_library(tool_checked OBJECT ${tool_sources})
hvp_checked(tool_checked)
target_link_libraries(tool_checked PUBLIC fmt::fmt nlohmann_json::nlohmann_json CLI11::CLI11 util)
target_precompile_headers(tool_checked PRIVATE <fmt/format.h> <nlohmann/json.hpp>)

hvp_test(machine_tests
    unit/tool/console_test.cpp unit/tool/debugger_test.cpp unit/tool/models_test.cpp
    unit/tool/processor_log_test.cpp unit/tool/ram_image_test.cpp
    LIBS machine_checked rapidcheck)
hvp_test(tool_tests
    unit/tool/addresses_test.cpp unit/tool/exit_details_test.cpp unit/tool/explain_test.cpp unit/tool/lab_lines_test.cpp unit/tool/nearest_test.cpp
    unit/tool/rules_test.cpp ${CMAKE_CURRENT_LIST_DIR}/../repository/sources.cpp
    unit/tool/story_test.cpp unit/tool/story_match_test.cpp unit/tool/timeline_test.cpp
    unit/tool/test_report_test.cpp unit/tool/verdict_test.cpp unit/tool/witnesses_test.cpp
    LIBS tool_checked machine_checked pe_checked rapidcheck)

add_executable(hvp_checked ${tool}/main.cpp)
hvp_checked(hvp_checked)
target_link_libraries(hvp_checked PRIVATE tool_checked machine_checked pe_checked)
