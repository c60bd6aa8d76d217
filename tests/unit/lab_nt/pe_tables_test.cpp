// Imports, exports, .pdata, security cookie: tables inside a laid-out image.
#include "lab/nt/ldr/pe_tables.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/lab_nt/pe_image.hpp"

namespace hvp::lab::pe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A laid-out image whose .data section the tests fill with tables.
class MemoryImage {
public:
    MemoryImage() {
        const PeImage image;
        file_ = image.bytes;
        headers = *parse(file_);
        memory.resize(headers.image_bytes);
        lay_out(headers, memory);
    }
    template <typename T>
    void put(std::uint32_t address, T value) {
        ASSERT_TRUE(write(WritableBytes{memory}, address, value));
    }
    void put_text(std::uint32_t address, std::string_view text) {
        std::memcpy(memory.data() + address, text.data(), text.size());
        put(address + static_cast<std::uint32_t>(text.size()), '\0');
    }
    void set_directory(DirectoryIndex index, std::uint32_t address, std::uint32_t size) {
        headers.directories[static_cast<std::size_t>(index)] = {address, size};
    }

    Headers headers;
    std::vector<std::byte> memory;

private:
    std::vector<std::byte> file_;
};

/// Two descriptors of one module, and one of another, as lld-link and import libraries make them.
class Imports : public testing::Test {
protected:
    Imports() {
        image.set_directory(DirectoryIndex::imports, 0x2000, 80);
        descriptor(0x2000, 0x2100, 0x2080, 0x2200);
        descriptor(0x2014, 0, 0x2080, 0x2220);
        descriptor(0x2028, 0x2110, 0x2090, 0x2240);
        image.put_text(0x2080, "ntoskrnl.exe");
        image.put_text(0x2090, "HAL.dll");
        image.put<std::uint64_t>(0x2100, 0x2300);
        image.put<std::uint64_t>(0x2110, 0x8000'0000'0000'0011);
        image.put<std::uint64_t>(0x2220, 0x2320);  // no name table: the slots hold the names
        image.put_text(0x2302, "DbgPrint");
        image.put_text(0x2322, "ExFreePool");
    }
    void descriptor(std::uint32_t at, std::uint32_t names, std::uint32_t module,
                    std::uint32_t slots) {
        image.put(at, names);
        image.put(at + 12, module);
        image.put(at + 16, slots);
    }
    /// `module!name@slot` for each import, and the refusal if there is one.
    std::vector<std::string> all() {
        std::vector<std::string> found;
        ImportReader reader{image.headers, image.memory};
        while (reader.next()) {
            const Import& one = reader.current();
            found.push_back(std::string{one.module} + "!" + std::string{one.name} + "@" +
                            std::to_string(one.slot) + "#" + std::to_string(one.ordinal));
        }
        if (reader.refusal()) {
            found.emplace_back(reader.refusal()->view());
        }
        return found;
    }
    MemoryImage image;
};

TEST_F(Imports, AllDescriptorsAreRead) {
    EXPECT_THAT(all(), ElementsAre("ntoskrnl.exe!DbgPrint@8704#0", "ntoskrnl.exe!ExFreePool@8736#0",
                                   "HAL.dll!@8768#17"));
}

TEST_F(Imports, AnImageWithoutImportsHasNone) {
    image.set_directory(DirectoryIndex::imports, 0, 0);
    EXPECT_THAT(all(), ElementsAre());
}

TEST_F(Imports, NamesOutsideTheImageAreRefused) {
    image.put<std::uint64_t>(0x2100, 0x7FFF'FFFF'0000'0000);
    EXPECT_THAT(all(), ElementsAre(HasSubstr("name lies outside the image")));
    image.put<std::uint64_t>(0x2100, 0x3FFE);
    EXPECT_THAT(all(), ElementsAre(HasSubstr("name lies outside the image")));
}

TEST_F(Imports, ModulesOutsideTheImageAreRefused) {
    descriptor(0x2000, 0x2100, 0xFFFF'FFF0, 0x2200);
    EXPECT_THAT(all(), ElementsAre(HasSubstr("module outside the image")));
}

TEST_F(Imports, SlotsOutsideTheImageAreRefused) {
    descriptor(0x2000, 0x2100, 0x2080, 0x3FFC);
    EXPECT_THAT(all(), ElementsAre(HasSubstr("reaches beyond the image")));
}

TEST_F(Imports, ATableWithoutEndIsRefused) {
    image.set_directory(DirectoryIndex::imports, 0x3FF0, 16);
    EXPECT_THAT(all(), ElementsAre(HasSubstr("has no end")));
}

class Exports : public testing::Test {
protected:
    Exports() {
        image.set_directory(DirectoryIndex::exports, 0x2000, 40);
        image.put<std::uint32_t>(0x2014, 2);       // addresses
        image.put<std::uint32_t>(0x2018, 2);       // names
        image.put<std::uint32_t>(0x201C, 0x2100);  // table of addresses
        image.put<std::uint32_t>(0x2020, 0x2110);  // table of names
        image.put<std::uint32_t>(0x2024, 0x2120);  // table of ordinals
        image.put<std::uint32_t>(0x2100, 0x1010);
        image.put<std::uint32_t>(0x2104, 0x1020);
        image.put<std::uint32_t>(0x2110, 0x2200);
        image.put<std::uint32_t>(0x2114, 0x2210);
        image.put<std::uint16_t>(0x2120, 1);
        image.put<std::uint16_t>(0x2122, 0);
        image.put_text(0x2200, "memcpy");
        image.put_text(0x2210, "memset");
    }
    std::optional<std::uint32_t> find(std::string_view name) {
        return find_export(image.headers, image.memory, name);
    }
    MemoryImage image;
};

TEST_F(Exports, AreFoundByTheirExactName) {
    EXPECT_EQ(find("memcpy"), 0x1020);
    EXPECT_EQ(find("memset"), 0x1010);
    EXPECT_EQ(find("Memset"), std::nullopt);
    EXPECT_EQ(find("mem"), std::nullopt);
}

TEST_F(Exports, BrokenTablesHaveNone) {
    image.put<std::uint16_t>(0x2120, 2);
    EXPECT_EQ(find("memcpy"), std::nullopt);
    image.put<std::uint32_t>(0x2018, 0xFFFF'FFFF);
    EXPECT_EQ(find("absent"), std::nullopt);
    image.put<std::uint32_t>(0x2020, 0xFFFF'FFF0);
    EXPECT_EQ(find("memset"), std::nullopt);
}

TEST(RuntimeFunctions, AreFoundByAnyAddressInside) {
    MemoryImage image;
    image.set_directory(DirectoryIndex::exceptions, 0x2000, 24);
    image.put(0x2000, RuntimeFunction{0x1000, 0x1010, 0x2100});
    image.put(0x200C, RuntimeFunction{0x1020, 0x1040, 0x2200});
    const auto unwind_data_at = [&](std::uint32_t address) {
        const auto function = find_function(image.headers, image.memory, address);
        return function ? function->unwind_data : 0;
    };
    EXPECT_EQ(unwind_data_at(0x1000), 0x2100U);
    EXPECT_EQ(unwind_data_at(0x100F), 0x2100U);
    EXPECT_EQ(unwind_data_at(0x1010), 0U);  // between the two: a leaf function
    EXPECT_EQ(unwind_data_at(0x103F), 0x2200U);
    EXPECT_EQ(unwind_data_at(0x1040), 0U);
}

TEST(SecurityCookie, IsWhereTheLoadConfigurationPoints) {
    constexpr std::uint64_t base = 0xFFFF'F801'0000'0000;
    MemoryImage image;
    image.set_directory(DirectoryIndex::load_configuration, 0x2000, 0x70);
    image.put<std::uint32_t>(0x2000, 0x70);
    image.put<std::uint64_t>(0x2058, base + 0x2100);
    const auto find = [&] { return find_security_cookie(image.headers, image.memory, base); };
    EXPECT_EQ(find(), 0x2100);
    image.put<std::uint64_t>(0x2058, base + 0x3FFC);  // not inside the image
    EXPECT_EQ(find(), std::nullopt);
    image.put<std::uint64_t>(0x2058, 0);
    EXPECT_EQ(find(), std::nullopt);
    image.put<std::uint64_t>(0x2058, base + 0x2100);
    image.put<std::uint32_t>(0x2000, 0x58);  // too short to have the field
    EXPECT_EQ(find(), std::nullopt);
}

}  // namespace
}  // namespace hvp::lab::pe
