# Our TraceLogging encoder, against bytes that are published, and against the lab's reader, which
# knows nothing of it.
hvp_test(trace_tests
    unit/trace/tracelogging_test.cpp unit/trace/decoder_test.cpp unit/trace/round_trip_test.cpp
    LIBS pe_checked lab_nt_checked nlohmann_json::nlohmann_json rapidcheck)
