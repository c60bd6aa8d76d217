// The VMM's own memcpy and its kin do what the C library's do. They are compiled under other names
// here: the process needs the library's.
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <string_view>

extern "C" {
void* hvp_memcpy(void* to, const void* from, std::size_t bytes);
void* hvp_memset(void* to, int value, std::size_t bytes);
void* hvp_memmove(void* to, const void* from, std::size_t bytes);
int hvp_memcmp(const void* a, const void* b, std::size_t bytes);
}

namespace hvp::arch {
namespace {

using Text = std::array<char, 11>;

std::string_view view(const Text& text) {
    return {text.data(), 10};
}

TEST(MemoryFunctions, CopyAndFill) {
    Text text{"0123456789"};
    EXPECT_EQ(hvp_memcpy(text.data(), "abc", 3), text.data());
    EXPECT_EQ(view(text), "abc3456789");
    EXPECT_EQ(hvp_memset(text.data() + 1, 'x' + 256, 2), text.data() + 1);
    EXPECT_EQ(view(text), "axx3456789");
    hvp_memset(text.data(), 'y', 0);
    EXPECT_EQ(view(text), "axx3456789");
}

// Every distance and length that fits into ten bytes, against the library's.
TEST(MemoryFunctions, MoveWhatOverlaps) {
    for (std::size_t from = 0; from < 10; ++from) {
        for (std::size_t to = 0; to < 10; ++to) {
            for (std::size_t bytes = 0; bytes <= 10 - std::max(from, to); ++bytes) {
                Text ours{"0123456789"};
                Text theirs{"0123456789"};
                EXPECT_EQ(hvp_memmove(ours.data() + to, ours.data() + from, bytes),
                          ours.data() + to);
                std::memmove(theirs.data() + to, theirs.data() + from, bytes);
                EXPECT_EQ(view(ours), view(theirs)) << from << " " << to << " " << bytes;
            }
        }
    }
}

TEST(MemoryFunctions, CompareAsUnsignedBytes) {
    EXPECT_EQ(hvp_memcmp("abc", "abd", 2), 0);
    EXPECT_LT(hvp_memcmp("abc", "abd", 3), 0);
    EXPECT_GT(hvp_memcmp("\xFF", "\x01", 1), 0);
    EXPECT_EQ(hvp_memcmp("a", "b", 0), 0);
}

}  // namespace
}  // namespace hvp::arch
