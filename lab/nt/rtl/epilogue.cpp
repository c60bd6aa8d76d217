// Recognises the instructions that an epilogue may consist of; all others end the search.
#include "lab/nt/rtl/epilogue.hpp"

#include "lab/nt/rtl/unwind_info.hpp"

namespace hvp::lab::rtl {
namespace {

/// The first part of a function that comes in several parts.
std::uint32_t first_part(pe::Bytes memory, pe::RuntimeFunction function) {
    for (int part = 0; part < deepest_chain; ++part) {
        const auto header = read_unwind_header(memory, function.unwind_data);
        const auto before =
            header && header->is_chained()
                ? pe::read<pe::RuntimeFunction>(memory, after_codes(*header, function.unwind_data))
                : std::nullopt;
        if (!before) {
            break;
        }
        function = *before;
    }
    return function.begin;
}

/// Reads instructions one after the other.
class EpilogueReader {
public:
    EpilogueReader(pe::Bytes memory, std::uint32_t address) : memory_{memory}, at_{address} {}

    /// ADD RSP, constant or LEA RSP, [frame register + constant].
    void read_release(Epilogue& epilogue, std::uint8_t frame_register) {
        const std::uint8_t prefix = byte(0);
        if (prefix == rex_w && byte(1) == 0x83 && byte(2) == 0xC4) {
            epilogue.displacement = static_cast<std::int8_t>(byte(3));
            at_ += 4;
        } else if (prefix == rex_w && byte(1) == 0x81 && byte(2) == 0xC4) {
            epilogue.displacement = signed_value(3);
            at_ += 7;
        } else if (frame_register != 0 && prefix == (rex_w | frame_register >> 3) &&
                   byte(1) == 0x8D) {
            read_lea(epilogue, frame_register & 7U);
        }
    }

    /// POP of a whole register.
    bool read_pop(Epilogue& epilogue) {
        const bool upper = byte(0) == rex_b;
        const std::uint8_t opcode = byte(upper ? 1 : 0);
        if ((opcode & 0xF8) != 0x58 || epilogue.pops == epilogue.popped.size()) {
            return false;
        }
        const auto number = static_cast<std::uint8_t>((opcode & 7U) + (upper ? 8U : 0U));
        epilogue.popped[epilogue.pops++] = number;
        at_ += upper ? 2 : 1;
        return true;
    }

    /// RET, or a tail call's jump.
    [[nodiscard]] bool leaves(const pe::Headers& headers,
                              const pe::RuntimeFunction& function) const {
        const std::uint8_t opcode = byte(0);
        switch (opcode) {
            case 0xC3:
                return true;
            case 0xF3:  // REP RET, for old AMD processors
                return byte(1) == 0xC3;
            case 0xEB:
                return is_elsewhere(
                    headers, function,
                    at_ + 2 + static_cast<std::uint32_t>(static_cast<std::int8_t>(byte(1))));
            case 0xE9:
                return is_elsewhere(headers, function,
                                    at_ + 5 + static_cast<std::uint32_t>(signed_value(1)));
            case 0xFF:
                return byte(1) == 0x25;  // JMP [RIP + constant]: an import
            default:
                // Compilers mark a tail call's jump by REX.W, which the jump itself does not need.
                return (opcode & 0xF8) == rex_w && byte(1) == 0xFF && (byte(2) & 0x38) == 0x20;
        }
    }

private:
    static constexpr std::uint8_t rex_w = 0x48;
    static constexpr std::uint8_t rex_b = 0x41;

    void read_lea(Epilogue& epilogue, unsigned base) {
        constexpr unsigned to_rsp = 4U << 3;
        constexpr unsigned scaled = 4;  // a SIB byte would follow: no frame register needs it
        const unsigned mode = byte(2);
        if (base == scaled) {
            return;
        }
        if (mode == (0x40 | to_rsp | base)) {
            epilogue.displacement = static_cast<std::int8_t>(byte(3));
            at_ += 4;
        } else if (mode == (0x80 | to_rsp | base)) {
            epilogue.displacement = signed_value(3);
            at_ += 7;
        } else {
            return;
        }
        epilogue.from_frame_register = true;
    }

    /// A jump to the function's own begin is a recursive tail call; any other one inside it is not
    /// an epilogue's.
    [[nodiscard]] bool is_elsewhere(const pe::Headers& headers, const pe::RuntimeFunction& function,
                                    std::uint32_t target) const {
        if (target == function.begin) {
            const auto header = read_unwind_header(memory_, function.unwind_data);
            return header && !header->is_chained();
        }
        const auto there = pe::find_function(headers, memory_, target);
        return !there || first_part(memory_, *there) != first_part(memory_, function);
    }

    /// 0 after the image's end, which is no instruction of an epilogue.
    [[nodiscard]] std::uint8_t byte(std::uint32_t offset) const {
        return pe::read<std::uint8_t>(memory_, std::uint64_t{at_} + offset).value_or(0);
    }
    [[nodiscard]] std::int32_t signed_value(std::uint32_t offset) const {
        return pe::read<std::int32_t>(memory_, std::uint64_t{at_} + offset).value_or(0);
    }

    pe::Bytes memory_;
    std::uint32_t at_;
};

}  // namespace

std::optional<Epilogue> find_epilogue(const pe::Headers& headers, pe::Bytes memory,
                                      const pe::RuntimeFunction& function,
                                      std::uint8_t frame_register, std::uint32_t address) {
    Epilogue epilogue;
    EpilogueReader reader{memory, address};
    reader.read_release(epilogue, frame_register);
    while (reader.read_pop(epilogue)) {
    }
    return reader.leaves(headers, function) ? std::optional{epilogue} : std::nullopt;
}

}  // namespace hvp::lab::rtl
