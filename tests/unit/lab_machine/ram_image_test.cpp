#include "lab/machine/ram_image.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace hvp::lab {
namespace {

std::vector<std::byte> filled(std::size_t size, unsigned value) {
    return std::vector<std::byte>(size, static_cast<std::byte>(value));
}

BootBlock block_of(const std::vector<std::byte>& image) {
    BootBlock block{};
    std::memcpy(&block, image.data(), sizeof(block));
    return block;
}

TEST(RamImage, PlacesBlockKernelAndDriver) {
    const auto kernel = filled(0x5000, 0x11);
    const auto driver = filled(0x1234, 0x22);
    const auto image = ram_image(
        {.processors = 2,
         .memory_mib = 64,
         .seed = 9,
         .timeout_ticks = 7,
         .loads = 3,
         .driver_name = "launch"},
        {.bytes = kernel, .virtual_base = 0xFFFF'F800'0000'0000, .entry = 0xFFFF'F800'0000'1000},
        driver);
    ASSERT_TRUE(image);
    const BootBlock block = block_of(*image);
    EXPECT_EQ(block.magic, boot_block_magic);
    EXPECT_EQ(block.kernel_physical, 0x40'0000U);
    EXPECT_EQ(block.driver_physical, 0x40'5000U);
    EXPECT_EQ(block.driver_bytes, 0x1234U);
    EXPECT_EQ(block.image_end, 0x40'7000U);
    EXPECT_EQ(block.memory_bytes, 64U << 20);
    EXPECT_EQ(block.timeout_ticks, 7U);
    EXPECT_EQ(block.loads, 3U);
    EXPECT_STREQ(block.driver_name.data(), "launch");
    EXPECT_EQ((*image)[block.kernel_physical - boot_block_address], std::byte{0x11});
    EXPECT_EQ((*image)[block.driver_physical - boot_block_address + 0x1233], std::byte{0x22});
    EXPECT_EQ((*image)[block.driver_physical - boot_block_address + 0x1234], std::byte{0});
}

TEST(RamImage, EndsALongNameWithNul) {
    const std::string name(100, 'n');
    const auto image = ram_image({.memory_mib = 64, .driver_name = name}, {}, {});
    ASSERT_TRUE(image);
    EXPECT_EQ(block_of(*image).driver_name.back(), '\0');
    EXPECT_EQ(block_of(*image).driver_physical, 0U);  // no driver
}

TEST(RamImage, RefusesADriverThatDoesNotFit) {
    const auto driver = filled(60U << 20, 0);
    const auto image = ram_image({.memory_mib = 64, .driver_name = "big"}, {}, driver);
    ASSERT_FALSE(image);
    EXPECT_TRUE(image.error().contains("--memory"));
}

}  // namespace
}  // namespace hvp::lab
