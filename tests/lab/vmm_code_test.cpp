// The VMM saves general registers only, so its instructions may use no others: no x87, MMX, SSE or
// AVX, and nothing that saves or loads that state. The test disassembles the drivers' files.
//
// A stage's .sys does not mark which of its functions run in VMX root operation. So the rule
// applies to all of them: to every byte of every executable section.
#include <Zydis/Zydis.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <span>

#include "lab/nt/ldr/pe.hpp"
#include "lab/nt/ldr/pe_tables.hpp"
#include "tests/lab/places.hpp"
#include "tests/lab/playground.hpp"

namespace hvp::tests {
namespace {

namespace pe = lab::pe;
using testing::HasSubstr;

struct Code {
    std::vector<std::string> forbidden;  ///< as text, with their addresses
    std::set<std::uint64_t> starts;      ///< of instructions
    std::vector<std::uint64_t> undecodable;
};

bool is_in(const auto& list, auto value) {
    return std::ranges::find(list, value) != list.end();
}

class Disassembler {
public:
    Disassembler() {
        ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        ZydisFormatterInit(&formatter_, ZYDIS_FORMATTER_STYLE_INTEL);
    }

    /// Decodes the bytes one instruction after the other.
    void read(std::span<const std::byte> bytes, std::uint64_t address, Code& code) {
        while (!bytes.empty()) {
            code.starts.insert(address);
            if (ZYAN_FAILED(ZydisDecoderDecodeFull(&decoder_, bytes.data(), bytes.size(),
                                                   &instruction_, operands_.data()))) {
                code.undecodable.push_back(address);
                instruction_.length = 1;
            } else if (!uses_general_registers_only()) {
                code.forbidden.push_back(text(address));
            }
            address += instruction_.length;
            bytes = bytes.subspan(instruction_.length);
        }
    }

private:
    [[nodiscard]] bool uses_general_registers_only() const {
        // A list of what is allowed, so that unknown extensions are not.
        constexpr std::array allowed{ZYDIS_ISA_EXT_BASE, ZYDIS_ISA_EXT_LONGMODE,
                                     ZYDIS_ISA_EXT_PAUSE, ZYDIS_ISA_EXT_VMFUNC, ZYDIS_ISA_EXT_VTX};
        constexpr std::array forbidden_categories{ZYDIS_CATEGORY_SSE, ZYDIS_CATEGORY_X87_ALU,
                                                  ZYDIS_CATEGORY_XSAVE};
        constexpr std::array forbidden_registers{ZYDIS_REGCLASS_X87, ZYDIS_REGCLASS_MMX,
                                                 ZYDIS_REGCLASS_XMM, ZYDIS_REGCLASS_YMM,
                                                 ZYDIS_REGCLASS_ZMM, ZYDIS_REGCLASS_MASK};
        // Hidden operands too: FXSAVE does not name the registers that it saves.
        const std::span operands{operands_.data(), instruction_.operand_count};
        // XSETBV chooses which state XSAVE saves, for the guest, and touches none; nor does XGETBV.
        return (instruction_.mnemonic == ZYDIS_MNEMONIC_XSETBV ||
                instruction_.mnemonic == ZYDIS_MNEMONIC_XGETBV ||
                (is_in(allowed, instruction_.meta.isa_ext) &&
                 !is_in(forbidden_categories, instruction_.meta.category))) &&
               std::ranges::none_of(operands, [&](const ZydisDecodedOperand& operand) {
                   return operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
                          (operand.reg.value == ZYDIS_REGISTER_MXCSR ||
                           is_in(forbidden_registers, ZydisRegisterGetClass(operand.reg.value)));
               });
    }

    [[nodiscard]] std::string text(std::uint64_t address) const {
        std::array<char, 128> line{};
        ZydisFormatterFormatInstruction(&formatter_, &instruction_, operands_.data(),
                                        instruction_.operand_count_visible, line.data(),
                                        line.size(), address, nullptr);
        return "0x" + to_hexadecimal(address) + " " + line.data();
    }
    static std::string to_hexadecimal(std::uint64_t value) {
        std::array<char, 20> digits{};
        std::snprintf(digits.data(), digits.size(), "%llx", static_cast<unsigned long long>(value));
        return digits.data();
    }

    ZydisDecoder decoder_{};
    ZydisFormatter formatter_{};
    ZydisDecodedInstruction instruction_{};
    std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands_{};
};

/// A driver of the build, as it lies in memory.
struct Image {
    std::string file;
    pe::Headers headers;
    std::vector<std::byte> memory;

    explicit Image(const std::string& name) : file{content(drivers_folder() / (name + ".sys"))} {
        const auto parsed = pe::parse(std::as_bytes(std::span{file}));
        if (parsed) {
            headers = *parsed;
            memory.resize(headers.image_bytes);
            pe::lay_out(headers, memory);
        }
    }

    [[nodiscard]] Code code() const {
        Code code;
        Disassembler disassembler;
        for (std::size_t i = 0; i < headers.section_count; ++i) {
            const pe::Section section = headers.section(i);
            if (section.executable()) {
                disassembler.read(
                    std::span{memory}.subspan(section.virtual_address, section.memory_bytes()),
                    section.virtual_address, code);
            }
        }
        return code;
    }

    /// Where .pdata says that functions begin.
    [[nodiscard]] std::vector<std::uint64_t> functions() const {
        const pe::Directory table = headers.directory(pe::DirectoryIndex::exceptions);
        std::vector<std::uint64_t> begins;
        for (std::uint32_t at = 0; at < table.size; at += sizeof(pe::RuntimeFunction)) {
            begins.push_back(
                pe::read<pe::RuntimeFunction>(memory, table.address + at).value().begin);
        }
        return begins;
    }
};

std::vector<std::string> stages() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator{source_folder() / "stages"}) {
        if (std::filesystem::exists(entry.path() / "driver.cpp")) {
            names.push_back(entry.path().filename());
        }
    }
    return names;
}

class CodeOfStage : public testing::TestWithParam<std::string> {};

TEST_P(CodeOfStage, UsesGeneralRegistersOnly) {
    const Image image{GetParam()};
    const Code code = image.code();
    EXPECT_GT(code.starts.size(), 1000U);
    EXPECT_THAT(code.forbidden, testing::IsEmpty());
    // Nothing was skipped, and the decoder stayed in step: functions begin at decoded instructions.
    EXPECT_THAT(code.undecodable, testing::IsEmpty());
    const std::vector<std::uint64_t> functions = image.functions();
    EXPECT_GT(functions.size(), 10U);
    EXPECT_THAT(functions, testing::Each(testing::Truly(
                               [&](std::uint64_t begin) { return code.starts.contains(begin); })));
}

INSTANTIATE_TEST_SUITE_P(Each, CodeOfStage, testing::ValuesIn(stages()), [](const auto& instance) {
    std::string name = instance.param;
    std::ranges::replace(name, '-', '_');
    return name;
});

// A driver whose guest, on purpose, loads and saves all of that state.
TEST(CodeWithExtendedState, IsFound) {
    const std::vector<std::string> found = Image{"vmm-state"}.code().forbidden;
    for (const char* instruction : {"xsave64", "xrstor64", "fxsave64", "fxrstor64"}) {
        EXPECT_THAT(found, testing::Contains(HasSubstr(instruction)));
    }
}

struct Instruction {
    const char* name;
    std::vector<unsigned> bytes;
    bool allowed;
};

std::ostream& operator<<(std::ostream& stream, const Instruction& instruction) {
    return stream << instruction.name;
}

class OneInstruction : public testing::TestWithParam<Instruction> {};

TEST_P(OneInstruction, IsAllowedOrNot) {
    std::vector<std::byte> bytes;
    for (const unsigned byte : GetParam().bytes) {
        bytes.push_back(static_cast<std::byte>(byte));
    }
    Code code;
    Disassembler{}.read(bytes, 0, code);
    EXPECT_THAT(code.undecodable, testing::IsEmpty());
    EXPECT_EQ(code.starts.size(), 1U);
    EXPECT_EQ(code.forbidden.empty(), GetParam().allowed);
}

INSTANTIATE_TEST_SUITE_P(
    Each, OneInstruction,
    testing::Values(
        Instruction{"vmread", {0x0F, 0x78, 0xC1}, true},
        Instruction{"rep_movsb", {0xF3, 0xA4}, true}, Instruction{"cpuid", {0x0F, 0xA2}, true},
        Instruction{"pause", {0xF3, 0x90}, true}, Instruction{"vmfunc", {0x0F, 0x01, 0xD4}, true},
        Instruction{"fld1", {0xD9, 0xE8}, false}, Instruction{"fwait", {0x9B}, false},
        Instruction{"fninit", {0xDB, 0xE3}, false}, Instruction{"emms", {0x0F, 0x77}, false},
        Instruction{"movq_mm0_mm1", {0x0F, 0x6F, 0xC1}, false},
        Instruction{"movups_xmm0_rax", {0x0F, 0x10, 0x00}, false},
        Instruction{"cvtsi2sd_xmm0_eax", {0xF2, 0x0F, 0x2A, 0xC0}, false},
        Instruction{"ldmxcsr", {0x0F, 0xAE, 0x10}, false},
        Instruction{"vmovups_ymm0_rax", {0xC5, 0xFC, 0x10, 0x00}, false},
        Instruction{"vzeroupper", {0xC5, 0xF8, 0x77}, false},
        Instruction{"vaddps_zmm0", {0x62, 0xF1, 0x7C, 0x48, 0x58, 0xC2}, false},
        Instruction{"kmovw_k0_k1", {0xC5, 0xF8, 0x90, 0xC1}, false},
        Instruction{"fxsave", {0x0F, 0xAE, 0x00}, false},
        Instruction{"fxrstor64", {0x48, 0x0F, 0xAE, 0x08}, false},
        Instruction{"xsave", {0x0F, 0xAE, 0x20}, false},
        Instruction{"xsaveopt", {0x0F, 0xAE, 0x30}, false},
        Instruction{"xsavec", {0x0F, 0xC7, 0x20}, false},
        Instruction{"xrstors", {0x0F, 0xC7, 0x18}, false}),
    [](const auto& instance) { return std::string{instance.param.name}; });

}  // namespace
}  // namespace hvp::tests
