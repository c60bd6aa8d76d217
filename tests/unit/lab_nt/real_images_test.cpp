// The parser on images that a real linker made: a test driver, and the lab's kernel itself.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <vector>

#include "lab/nt/hosted/mapped_image.hpp"
#include "lab/nt/ldr/pe_tables.hpp"

namespace hvp::lab::pe {
namespace {

std::vector<std::byte> file(const char* path) {
    std::ifstream stream{path, std::ios::binary};
    std::vector<char> characters{std::istreambuf_iterator<char>{stream}, {}};
    const auto bytes = std::as_bytes(std::span{characters});
    return {bytes.begin(), bytes.end()};
}

TEST(RealImages, ADriverIsLaidOutAndItsImportsHaveNames) {
    const auto bytes = file(HVP_DRIVER);
    const auto headers = parse(bytes);
    ASSERT_TRUE(headers) << headers.error().view();
    const auto image = layout(bytes);
    ASSERT_TRUE(image);
    ImportReader reader{*headers, image->bytes};
    std::size_t imports = 0;
    while (reader.next()) {
        EXPECT_EQ(reader.current().module, "ntoskrnl.exe");
        EXPECT_FALSE(reader.current().name.empty());
        ++imports;
    }
    EXPECT_FALSE(reader.refusal());
    EXPECT_GT(imports, 5U);
}

TEST(RealImages, TheKernelExportsByNameAndRunsInTheUpperHalf) {
    const auto bytes = file(HVP_KERNEL);
    const auto headers = parse(bytes);
    ASSERT_TRUE(headers) << headers.error().view();
    const auto image = layout(bytes);
    ASSERT_TRUE(image) << image.error();
    EXPECT_EQ(image->base, 0xFFFF'F800'0000'0000);
    EXPECT_EQ(image->bytes.size() % 4096, 0U);
    EXPECT_TRUE(find_export(*headers, image->bytes, "DbgPrintEx"));
    EXPECT_TRUE(find_export(*headers, image->bytes, "RtlCaptureContext"));
    EXPECT_TRUE(find_export(*headers, image->bytes, "KeNumberProcessors"));
    EXPECT_FALSE(find_export(*headers, image->bytes, "kernel_main"));
}

TEST(RealImages, NoSectionOfTheKernelIsWritableAndExecutable) {
    const auto bytes = file(HVP_KERNEL);
    const auto headers = parse(bytes);
    ASSERT_TRUE(headers);
    for (std::size_t i = 0; i < headers->section_count; ++i) {
        const Section section = headers->section(i);
        EXPECT_FALSE(section.writable() && section.executable()) << section.name();
    }
}

}  // namespace
}  // namespace hvp::lab::pe
