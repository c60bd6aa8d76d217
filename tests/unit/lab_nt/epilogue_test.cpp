// What is the rest of an epilogue, and what is not.  [Windows: x64 exception handling, "Unwind
// procedure"]
#include "lab/nt/rtl/epilogue.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hvp::lab::rtl {
namespace {

constexpr std::uint8_t rbp = 5;
constexpr std::uint32_t place = 0x150;

struct Case {
    std::string name;
    std::vector<std::uint8_t> code;
    bool is_epilogue;
    std::int32_t displacement{};
    std::vector<std::uint8_t> popped{};
    bool from_frame_register{};
};

std::ostream& operator<<(std::ostream& stream, const Case& one) {
    return stream << one.name;
}

/// Two functions at 0x100 and 0x200; the first has a second part at 0x180.
class Epilogues : public testing::TestWithParam<Case> {
protected:
    Epilogues() : memory_(0x1000) {
        headers_.directories[static_cast<std::size_t>(pe::DirectoryIndex::exceptions)] = {0x300,
                                                                                          36};
        put(0x300, pe::RuntimeFunction{0x100, 0x180, 0x400});
        put(0x30C, pe::RuntimeFunction{0x180, 0x200, 0x410});
        put(0x318, pe::RuntimeFunction{0x200, 0x280, 0x400});
        put(0x400, std::uint32_t{1});           // version 1, no codes
        put(0x410, std::uint32_t{1 | 4 << 3});  // the same, chained
        put(0x414, pe::RuntimeFunction{0x100, 0x180, 0x400});
    }

    template <typename T>
    void put(std::uint64_t at, T value) {
        EXPECT_TRUE(pe::write(pe::WritableBytes{memory_}, at, value));
    }

    std::optional<Epilogue> find(const std::vector<std::uint8_t>& code, std::uint32_t at) {
        for (std::size_t i = 0; i < code.size(); ++i) {
            put(at + i, code[i]);
        }
        return find_epilogue(headers_, memory_, {0x100, 0x180, 0x400}, rbp, at);
    }

    pe::Headers headers_;
    std::vector<std::byte> memory_;
};

TEST_P(Epilogues, AreRecognisedByTheirInstructions) {
    const Case& one = GetParam();
    const auto found = find(one.code, place);
    ASSERT_EQ(found.has_value(), one.is_epilogue);
    if (found) {
        EXPECT_EQ(found->displacement, one.displacement);
        EXPECT_EQ(found->from_frame_register, one.from_frame_register);
        const std::vector<std::uint8_t> popped(
            found->popped.begin(),
            found->popped.begin() + static_cast<std::ptrdiff_t>(found->pops));
        EXPECT_EQ(popped, one.popped);
    }
}

std::vector<std::uint8_t> pops(std::size_t count) {
    std::vector<std::uint8_t> code(count, 0x5B);
    code.push_back(0xC3);
    return code;
}

// The jumps are counted from 0x152 (two bytes) and 0x155 (five).
const std::vector<Case> cases{
    {"ret", {0xC3}, true},
    {"rep_ret", {0xF3, 0xC3}, true},
    {"add_8", {0x48, 0x83, 0xC4, 0x28, 0xC3}, true, 0x28},
    {"add_32", {0x48, 0x81, 0xC4, 0x00, 0x10, 0x00, 0x00, 0xC3}, true, 0x1000},
    {"lea_8", {0x48, 0x8D, 0x65, 0xF0, 0x5D, 0xC3}, true, -0x10, {5}, true},
    {"lea_32", {0x48, 0x8D, 0xA5, 0x00, 0x02, 0, 0, 0x5D, 0xC3}, true, 0x200, {5}, true},
    {"pops", {0x41, 0x5F, 0x5B, 0xC3}, true, 0, {15, 3}},
    {"add_and_pops", {0x48, 0x83, 0xC4, 0x20, 0x5F, 0x5E, 0xC3}, true, 0x20, {7, 6}},
    {"sixteen_pops", pops(16), true, 0, std::vector<std::uint8_t>(16, 3)},
    {"jump_to_another_function", {0xE9, 0xAB, 0, 0, 0}, true},
    {"short_jump_to_the_other_part", {0xEB, 0x7E}, false},
    {"jump_to_a_leaf", {0xE9, 0xAB, 0x01, 0, 0}, true},
    {"jump_to_itself_is_a_call", {0xEB, 0xAE}, true},
    {"jump_inside", {0xEB, 0x08}, false},
    {"jump_to_the_other_part", {0xE9, 0x3B, 0, 0, 0}, false},
    {"jump_to_an_import", {0xFF, 0x25, 0, 0, 0, 0}, true},
    {"marked_jump_by_register", {0x48, 0xFF, 0xE0}, true},
    {"jump_by_register_may_be_a_switch", {0xFF, 0xE0}, false},
    {"lea_from_another_register", {0x48, 0x8D, 0x63, 0x10, 0xC3}, false},
    {"lea_without_displacement", {0x48, 0x8D, 0x20, 0xC3}, false},
    {"add_twice", {0x48, 0x83, 0xC4, 0x28, 0x48, 0x83, 0xC4, 0x28, 0xC3}, false},
    {"add_behind_pops", {0x5B, 0x48, 0x83, 0xC4, 0x28, 0xC3}, false},
    {"add_32_bit", {0x83, 0xC4, 0x28, 0xC3}, false},
    {"call", {0x48, 0x83, 0xC4, 0x28, 0xE8, 0, 0, 0, 0}, false},
    {"push", {0x53, 0xC3}, false},
    {"seventeen_pops", pops(17), false},
};

INSTANTIATE_TEST_SUITE_P(Of, Epilogues, testing::ValuesIn(cases),
                         [](const auto& instance) { return instance.param.name; });

TEST_F(Epilogues, TheImagesEndIsNoEpilogue) {
    EXPECT_FALSE(find({0x48, 0x83, 0xC4}, 0xFFD));
    EXPECT_FALSE(find({0x5B}, 0xFFF));
    EXPECT_FALSE(find({}, 0x1000));
    EXPECT_FALSE(find({}, 0xFFFF'FFFF));
}

}  // namespace
}  // namespace hvp::lab::rtl
