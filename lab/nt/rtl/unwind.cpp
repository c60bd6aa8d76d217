// Undoes prologues.  [Windows: x64 exception handling, "Struct UNWIND_CODE"]
#include "lab/nt/rtl/unwind.hpp"

namespace hvp::lab::rtl {
namespace {

enum class Operation : std::uint8_t {
    push_register = 0,
    allocate_large = 1,
    allocate_small = 2,
    set_frame_register = 3,
    save_register = 4,
    save_register_far = 5,
    save_xmm = 8,
    save_xmm_far = 9,
    push_machine_frame = 10,
};

struct UnwindHeader {
    std::uint8_t version : 3;
    std::uint8_t flags : 5;
    std::uint8_t prologue_bytes;
    std::uint8_t code_count;
    std::uint8_t frame_register : 4;
    std::uint8_t frame_offset : 4;
};
static_assert(sizeof(UnwindHeader) == 4);

struct UnwindCode {
    std::uint8_t offset;
    std::uint8_t operation : 4;
    std::uint8_t information : 4;
};
static_assert(sizeof(UnwindCode) == 2);

/// Undoes the codes of one UNWIND_INFO.
class Unwinder {
public:
    Unwinder(pe::Bytes memory, Registers& registers, ReadStack read_stack)
        : memory_{memory}, registers_{registers}, read_stack_{read_stack} {}

    /// Codes whose instruction lies behind `executed` bytes of the prologue have not run yet.
    [[nodiscard]] bool undo(std::uint32_t unwind_data, std::uint64_t executed) {
        const auto header = pe::read<UnwindHeader>(memory_, unwind_data);
        if (!header || header->version != 1) {
            return false;
        }
        if (chain_ == 0) {
            note_establisher(*header, executed, unwind_data);
        }
        const std::uint64_t codes = std::uint64_t{unwind_data} + sizeof(UnwindHeader);
        for (std::uint32_t i = 0; i < header->code_count;) {
            const auto code = pe::read<UnwindCode>(memory_, codes + i * 2);
            const auto slots = code ? slots_of(*code) : 0;
            if (slots == 0) {
                return false;
            }
            if (code->offset <= executed && !undo_one(*header, *code, codes + (i + 1) * 2)) {
                return false;
            }
            i += slots;
        }
        constexpr std::uint8_t chained = 4;
        const std::uint64_t next = codes + (header->code_count + 1U) / 2 * 4;
        if ((header->flags & chained) == 0) {
            note_handler(*header, executed, next);
            return true;
        }
        const auto parent = pe::read<pe::RuntimeFunction>(memory_, next);
        constexpr int deepest_chain = 32;
        return parent && ++chain_ < deepest_chain && undo(parent->unwind_data, whole_prologue);
    }

    [[nodiscard]] const FrameFacts& facts() const { return facts_; }

private:
    /// RSP, or what the function's frame register was set to if that has happened already.
    void note_establisher(UnwindHeader header, std::uint64_t executed, std::uint32_t unwind_data) {
        facts_.establisher = registers_.rsp();
        const std::uint64_t codes = std::uint64_t{unwind_data} + sizeof(UnwindHeader);
        for (std::uint32_t i = 0; header.frame_register != 0 && i < header.code_count; ++i) {
            const auto code = pe::read<UnwindCode>(memory_, codes + i * 2);
            if (executed >= header.prologue_bytes ||
                (code && static_cast<Operation>(code->operation) == Operation::set_frame_register &&
                 executed >= code->offset)) {
                facts_.establisher =
                    registers_.general[header.frame_register] - header.frame_offset * 16U;
                return;
            }
        }
    }

    void note_handler(UnwindHeader header, std::uint64_t executed, std::uint64_t at) {
        constexpr std::uint8_t both_kinds = 3;
        const auto handler = pe::read<std::uint32_t>(memory_, at);
        const bool in_prologue = chain_ == 0 && executed < header.prologue_bytes;
        if ((header.flags & both_kinds) != 0 && handler && !in_prologue) {
            facts_.handler = *handler;
            facts_.handler_data = static_cast<std::uint32_t>(at + sizeof(std::uint32_t));
            facts_.handler_kinds = header.flags & both_kinds;
        }
    }

    static constexpr std::uint64_t whole_prologue = 0xFF;

    /// How many 16-bit slots a code takes; 0: not a code of version 1.
    static std::uint32_t slots_of(UnwindCode code) {
        switch (static_cast<Operation>(code.operation)) {
            case Operation::push_register:
            case Operation::allocate_small:
            case Operation::set_frame_register:
            case Operation::push_machine_frame:
                return 1;
            case Operation::save_register:
            case Operation::save_xmm:
                return 2;
            case Operation::save_register_far:
            case Operation::save_xmm_far:
                return 3;
            case Operation::allocate_large:
                return code.information == 0 ? 2 : 3;
        }
        return 0;
    }

    bool undo_one(UnwindHeader header, UnwindCode code, std::uint64_t operand) {
        const std::uint64_t small = pe::read<std::uint16_t>(memory_, operand).value_or(0);
        const std::uint64_t large = pe::read<std::uint32_t>(memory_, operand).value_or(0);
        std::uint64_t& rsp = registers_.rsp();
        switch (static_cast<Operation>(code.operation)) {
            case Operation::push_register:
                return pop(registers_.general[code.information]);
            case Operation::allocate_large:
                rsp += code.information == 0 ? small * 8 : large;
                return true;
            case Operation::allocate_small:
                rsp += code.information * 8U + 8U;
                return true;
            case Operation::set_frame_register:
                rsp = registers_.general[header.frame_register] - header.frame_offset * 16U;
                return true;
            case Operation::save_register:
                return load(registers_.general[code.information], rsp + small * 8);
            case Operation::save_register_far:
                return load(registers_.general[code.information], rsp + large);
            case Operation::save_xmm:
                return load(registers_.vectors[code.information], rsp + small * 16);
            case Operation::save_xmm_far:
                return load(registers_.vectors[code.information], rsp + large);
            case Operation::push_machine_frame:
                facts_.machine_frame = rsp;
                rsp += code.information * 8U;  // 1: an error code lies below the frame
                return load(registers_.rip, rsp) && load(rsp, rsp + 24);
        }
        return false;
    }

    bool load(std::uint64_t& to, std::uint64_t address) {
        const auto value = read_stack_(address);
        to = value.value_or(0);
        return value.has_value();
    }

    bool load(std::array<std::uint64_t, 2>& to, std::uint64_t address) {
        return load(to[0], address) && load(to[1], address + 8);
    }

    bool pop(std::uint64_t& to) {
        const std::uint64_t at = registers_.rsp();
        registers_.rsp() += 8;
        return load(to, at);
    }

    pe::Bytes memory_;
    Registers& registers_;
    ReadStack read_stack_;
    int chain_{};
    FrameFacts facts_{};
};

}  // namespace

bool unwind(const ImageView& image, Registers& registers, ReadStack read_stack, FrameFacts* facts) {
    const auto address = static_cast<std::uint32_t>(registers.rip - image.base);
    Unwinder unwinder{image.memory, registers, read_stack};
    if (facts != nullptr) {
        *facts = {.establisher = registers.rsp()};
    }
    if (const auto function = pe::find_function(*image.headers, image.memory, address)) {
        if (!unwinder.undo(function->unwind_data, address - function->begin)) {
            return false;
        }
        if (facts != nullptr) {
            *facts = unwinder.facts();
            facts->function = *function;
        }
        if (unwinder.facts().machine_frame != 0) {
            return true;
        }
    }
    const auto return_address = read_stack(registers.rsp());
    registers.rip = return_address.value_or(0);
    registers.rsp() += 8;
    return return_address.has_value();
}

}  // namespace hvp::lab::rtl
