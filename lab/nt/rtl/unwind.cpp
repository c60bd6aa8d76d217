// Undoes a prologue's effects.  [Windows: x64 exception handling, "Struct UNWIND_CODE"]
#include "lab/nt/rtl/unwind.hpp"

#include "lab/nt/rtl/epilogue.hpp"
#include "lab/nt/rtl/unwind_info.hpp"

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

    /// Skips codes of instructions after the first `executed` bytes of the prologue: those have not
    /// been executed yet.
    [[nodiscard]] bool undo(std::uint32_t unwind_data, std::uint64_t executed) {
        const auto header = read_unwind_header(memory_, unwind_data);
        if (!header) {
            return false;
        }
        note_frame(*header, codes_at(unwind_data), executed);
        bool readable = true;
        for_each_code(*header, codes_at(unwind_data), [&](UnwindCode code, std::uint64_t operand) {
            readable = readable && (code.offset > executed || undo_one(*header, code, operand));
        });
        if (!readable || !whole_) {
            return false;
        }
        const std::uint64_t next = after_codes(*header, unwind_data);
        if (!header->is_chained()) {
            return note_handler(*header, executed, next);
        }
        const auto parent = pe::read<pe::RuntimeFunction>(memory_, next);
        return parent && ++chain_ < deepest_chain && undo(parent->unwind_data, whole_prologue);
    }

    [[nodiscard]] const FrameFacts& facts() const { return facts_; }

private:
    template <typename Visit>
    void for_each_code(UnwindHeader header, std::uint64_t codes, Visit visit) {
        std::uint32_t slots = 0;
        for (std::uint32_t i = 0; i < header.code_count; i += slots) {
            const auto code = pe::read<UnwindCode>(memory_, codes + i * 2);
            slots = code ? slots_of(*code) : 0;
            if (slots == 0 || i + slots > header.code_count) {
                whole_ = false;
                return;
            }
            visit(*code, codes + (i + 1) * 2);
        }
    }

    /// The base of the saved registers' offsets: RSP after the prologue's fixed allocation. Once
    /// the prologue has set the frame register the base comes from that, because RSP may change
    /// later.
    void note_frame(UnwindHeader header, std::uint64_t codes, std::uint64_t executed) {
        bool is_set = executed >= header.prologue_bytes || header.is_chained();
        for_each_code(header, codes, [&](UnwindCode code, std::uint64_t) {
            is_set |= static_cast<Operation>(code.operation) == Operation::set_frame_register &&
                      executed >= code.offset;
        });
        frame_ = header.frame_register != 0 && is_set
                     ? registers_.general[header.frame_register] - header.frame_offset * 16U
                     : registers_.rsp();
        if (chain_ == 0) {
            facts_.establisher = frame_;
        }
    }

    /// False: the handler lies outside the image.
    bool note_handler(UnwindHeader header, std::uint64_t executed, std::uint64_t at) {
        const std::uint8_t kinds = header.flags & UnwindHeader::both_handlers;
        if (kinds == 0) {
            return true;
        }
        const auto handler = pe::read<std::uint32_t>(memory_, at);
        if (!handler || *handler >= memory_.size()) {
            return false;
        }
        const bool in_prologue = chain_ == 0 && executed < header.prologue_bytes;
        if (!in_prologue) {
            facts_.handler = *handler;
            facts_.handler_data = static_cast<std::uint32_t>(at + sizeof(std::uint32_t));
            facts_.handler_kinds = kinds;
        }
        return true;
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
                return code.information <= 1 ? code.information + 2U : 0;
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
                return load(registers_.general[code.information], frame_ + small * 8);
            case Operation::save_register_far:
                return load(registers_.general[code.information], frame_ + large);
            case Operation::save_xmm:
                return load(registers_.vectors[code.information], frame_ + small * 16);
            case Operation::save_xmm_far:
                return load(registers_.vectors[code.information], frame_ + large);
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
    std::uint64_t frame_{};
    bool whole_{true};  ///< all codes are of version 1, and lie inside the data
    FrameFacts facts_{};
};

/// Undoes what the rest of an epilogue would.
bool finish(const Epilogue& epilogue, std::uint8_t frame_register, Registers& registers,
            ReadStack read_stack) {
    if (epilogue.from_frame_register) {
        registers.rsp() = registers.general[frame_register];
    }
    registers.rsp() += static_cast<std::uint64_t>(std::int64_t{epilogue.displacement});
    for (std::size_t i = 0; i < epilogue.pops; ++i) {
        const auto value = read_stack(registers.rsp());
        if (!value) {
            return false;
        }
        registers.rsp() += sizeof(std::uint64_t);
        registers.general[epilogue.popped[i]] = *value;
    }
    return true;
}

}  // namespace

bool unwind_leaf(Registers& registers, ReadStack read_stack) {
    const auto return_address = read_stack(registers.rsp());
    registers.rip = return_address.value_or(0);
    registers.rsp() += sizeof(std::uint64_t);
    return return_address.has_value();
}

bool unwind(const ImageView& image, Registers& registers, ReadStack read_stack, FrameFacts* facts) {
    FrameFacts unwanted;
    FrameFacts& found = facts != nullptr ? *facts : unwanted;
    found = {.establisher = registers.rsp()};
    const auto address = static_cast<std::uint32_t>(registers.rip - image.base);
    const auto function = pe::find_function(*image.headers, image.memory, address);
    if (!function) {
        return unwind_leaf(registers, read_stack);
    }
    const auto header = read_unwind_header(image.memory, function->unwind_data);
    if (!header) {
        return false;
    }
    const std::uint32_t executed = address - function->begin;
    if (executed >= header->prologue_bytes) {
        if (const auto epilogue = find_epilogue(*image.headers, image.memory, *function,
                                                header->frame_register, address)) {
            found.function = *function;
            return finish(*epilogue, header->frame_register, registers, read_stack) &&
                   unwind_leaf(registers, read_stack);
        }
    }
    Unwinder unwinder{image.memory, registers, read_stack};
    if (!unwinder.undo(function->unwind_data, executed)) {
        return false;
    }
    found = unwinder.facts();
    found.function = *function;
    return found.machine_frame != 0 || unwind_leaf(registers, read_stack);
}

}  // namespace hvp::lab::rtl
