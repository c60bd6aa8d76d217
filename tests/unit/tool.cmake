# The tool's and the machine's pure parts.
set(machine ${PROJECT_SOURCE_DIR}/lab/machine)
set(tool ${PROJECT_SOURCE_DIR}/tool)
hvp_test(machine_tests
    unit/tool/console_test.cpp unit/tool/debugger_test.cpp unit/tool/models_test.cpp
    unit/tool/processor_log_test.cpp unit/tool/ram_image_test.cpp
    ${machine}/console.cpp ${machine}/configuration.cpp ${machine}/debugger.cpp
    ${machine}/models.cpp ${machine}/processor_log.cpp ${machine}/ram_image.cpp
    LIBS fmt::fmt rapidcheck)
hvp_test(tool_tests
    unit/tool/addresses_test.cpp unit/tool/lab_lines_test.cpp unit/tool/nearest_test.cpp
    unit/tool/story_test.cpp unit/tool/story_match_test.cpp unit/tool/timeline_test.cpp
    unit/tool/test_report_test.cpp unit/tool/verdict_test.cpp unit/tool/witnesses_test.cpp
    ${tool}/addresses.cpp ${tool}/event.cpp ${tool}/lab_lines.cpp ${tool}/nearest.cpp
    ${tool}/processor_record.cpp ${tool}/sentences.cpp ${tool}/story.cpp ${tool}/story_match.cpp
    ${tool}/subprocess.cpp ${tool}/test_report.cpp ${tool}/timeline.cpp ${tool}/verdict.cpp ${tool}/witnesses.cpp
    ${machine}/processor_log.cpp ${machine}/pseudo_terminal.cpp
    LIBS fmt::fmt nlohmann_json::nlohmann_json rapidcheck util)
target_precompile_headers(tool_tests PRIVATE <gmock/gmock.h> <nlohmann/json.hpp>)
