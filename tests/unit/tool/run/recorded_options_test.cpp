#include "tool/run/recorded_options.hpp"

#include <gtest/gtest.h>

namespace hvp::tool {
namespace {

RunOptions unusual() {
    RunOptions options;
    options.driver = "/somewhere/own.sys";
    options.model = "tigerlake";
    options.cpus = 4;
    options.processor = 3;
    options.memory_mib = 100;
    options.firmware_vmx = lab::FirmwareVmx::unlocked;
    options.timeout_ticks = 5'000'000'000;
    options.seed = ~std::uint64_t{0};
    options.loads = 3;
    options.fail_allocation = 2;
    options.odd_state = true;
    options.processor_log = false;
    return options;
}

Json summary_with(const RunOptions& options) {
    return {{"stage", options.driver ? Json() : Json(options.stage)},
            {"machine",
             {{"model", options.model},
              {"processors", options.cpus},
              {"memory_mib", options.memory_mib}}},
            {"options", options_json(options)}};
}

TEST(RecordedOptions, AreReadBack) {
    const RunOptions written = unusual();
    const auto read = options_of(Json::parse(summary_with(written).dump()));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->driver, written.driver);
    EXPECT_EQ(read->model, written.model);
    EXPECT_EQ(read->cpus, written.cpus);
    EXPECT_EQ(read->processor, written.processor);
    EXPECT_EQ(read->memory_mib, written.memory_mib);
    EXPECT_EQ(read->firmware_vmx, written.firmware_vmx);
    EXPECT_EQ(read->timeout_ticks, written.timeout_ticks);
    EXPECT_EQ(read->seed, written.seed);
    EXPECT_EQ(read->loads, written.loads);
    EXPECT_EQ(read->fail_allocation, written.fail_allocation);
    EXPECT_EQ(read->odd_state, written.odd_state);
    EXPECT_EQ(read->processor_log, written.processor_log);
}

TEST(RecordedOptions, OfAStageNameIt) {
    RunOptions options;
    options.stage = "ept";
    const auto read = options_of(Json::parse(summary_with(options).dump()));
    ASSERT_TRUE(read);
    EXPECT_FALSE(read->driver);
    EXPECT_FALSE(read->processor);
    EXPECT_EQ(read->stage, "ept");
}

TEST(RecordedOptions, AreAllThereOrNone) {
    const Json whole = summary_with(unusual());
    for (const auto& [key, value] : whole["options"].items()) {
        Json summary = whole;
        summary["options"].erase(key);
        EXPECT_FALSE(options_of(summary)) << key;
        summary["options"][key] = Json::array();
        EXPECT_FALSE(options_of(summary)) << key;
    }
    for (const char* key : {"machine", "options"}) {
        Json summary = whole;
        summary.erase(key);
        EXPECT_FALSE(options_of(summary)) << key;
    }
}

}  // namespace
}  // namespace hvp::tool
