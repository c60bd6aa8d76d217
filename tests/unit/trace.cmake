# Our TraceLogging encoder, against bytes that are published, and against the lab's reader, which
# knows nothing of it.
set(lab_nt ${PROJECT_SOURCE_DIR}/lab/nt)
hvp_test(trace_tests
    unit/trace/tracelogging_test.cpp unit/trace/decoder_test.cpp unit/trace/round_trip_test.cpp
    ${lab_nt}/etw/decoder.cpp ${lab_nt}/etw/metadata.cpp ${lab_nt}/etw/value.cpp
    ${lab_nt}/dbg/json_line.cpp
    LIBS nlohmann_json::nlohmann_json rapidcheck)
