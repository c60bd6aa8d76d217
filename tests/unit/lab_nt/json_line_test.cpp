// A JSON library must read what the kernel has written.
#include "lab/nt/dbg/json_line.hpp"

#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>

namespace hvp::lab::dbg {
namespace {

class JsonLines : public testing::Test {
protected:
    nlohmann::json parsed() { return nlohmann::json::parse(writer.view()); }

    std::array<char, 4096> buffer{};
    rtl::TextWriter writer{buffer};
    JsonLine line{writer};
};

TEST_F(JsonLines, AnEventIsOneObjectOnOneLine) {
    line.begin();
    line.number("t", 18446744073709551615U);
    line.text("event", "LabStarted");
    line.boolean("truncated", false);
    line.hex("status", 0x103, 8);
    line.end();
    EXPECT_EQ(writer.view(),
              "{\"t\":18446744073709551615,\"event\":\"LabStarted\",\"truncated\":false,"
              "\"status\":\"0x00000103\"}\n");
}

TEST_F(JsonLines, ArraysAndObjectsNest) {
    line.begin();
    line.begin_array("stack");
    line.hex_element(1);
    line.element("two");
    line.end_array();
    line.begin_array("empty");
    line.end_array();
    line.begin_object("registers");
    line.hex("rax", 0x10);
    line.end_object();
    line.number("after", 5);
    line.end();
    EXPECT_EQ(parsed(), nlohmann::json::parse(
                            R"({"stack":["0x1","two"],"empty":[],"registers":{"rax":"0x10"},)"
                            R"("after":5})"));
}

TEST_F(JsonLines, EveryByteOfATextSurvives) {
    std::string text;
    std::string latin_1_as_utf_8;
    for (int byte = 0; byte < 256; ++byte) {
        text.push_back(static_cast<char>(byte));
        if (byte < 0x80) {
            latin_1_as_utf_8.push_back(static_cast<char>(byte));
        } else {
            latin_1_as_utf_8.push_back(static_cast<char>(0xC0 | byte >> 6));
            latin_1_as_utf_8.push_back(static_cast<char>(0x80 | (byte & 0x3F)));
        }
    }
    line.begin();
    line.text("text", text);
    line.end();
    EXPECT_EQ(writer.view().find('\n'), writer.view().size() - 1) << "one line";
    EXPECT_EQ(parsed()["text"], latin_1_as_utf_8);
}

}  // namespace
}  // namespace hvp::lab::dbg
