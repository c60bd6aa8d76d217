// The interpreter. Registers with unknown values are `nullopt`, and so are results of unknown
// values.
#include "tests/unit/lab_nt/function_walk.hpp"

#include <Zydis/Zydis.h>

#include <vector>

namespace hvp::tests {
namespace {

constexpr std::size_t rsp_number = 4;
constexpr std::uint64_t some_room = 0x40;  // assumed for an unknown amount of stack

bool is_stack(std::uint64_t address) {
    return address >= StackState::lowest && address < StackState::highest;
}

std::optional<std::size_t> number_of(ZydisRegister name, ZydisRegister first) {
    const auto number = static_cast<std::size_t>(name) - static_cast<std::size_t>(first);
    return name >= first && number < 16 ? std::optional{number} : std::nullopt;
}

std::optional<std::size_t> general_number(ZydisRegister name) {
    return number_of(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, name),
                     ZYDIS_REGISTER_RAX);
}

}  // namespace

StackState state_at_entry() {
    StackState state;
    for (const auto number : preserved_registers) {
        state.general[number] = original(number);
    }
    for (std::size_t i = first_preserved_vector; i < state.vectors.size(); ++i) {
        state.vectors[i] = original_vector(i);
    }
    state.stack[StackState::entry_rsp] = StackState::return_address;
    return state;
}

/// One instruction, and the state that it changes.
class FunctionWalk::Step {
public:
    Step(lab::pe::Bytes memory, std::uint32_t address, StackState& state)
        : address_{address}, state_{state} {
        ZydisDecoder decoder{};
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        const auto rest = memory.subspan(address);
        known_ = ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, rest.data(), rest.size(),
                                                     &instruction_, operands_.data()));
    }

    [[nodiscard]] bool is_known() const { return known_; }
    [[nodiscard]] std::uint32_t next() const { return address_ + instruction_.length; }

    /// Whether the next instruction is not, or not always, the following one.
    [[nodiscard]] bool may_jump() const {
        return is_jump() || instruction_.meta.category == ZYDIS_CATEGORY_COND_BR;
    }
    [[nodiscard]] bool goes_on() const {
        return !is_jump() && mnemonic() != ZYDIS_MNEMONIC_RET && mnemonic() != ZYDIS_MNEMONIC_UD2 &&
               mnemonic() != ZYDIS_MNEMONIC_INT3 && mnemonic() != ZYDIS_MNEMONIC_IRETQ;
    }
    [[nodiscard]] Leaving leaving(bool is_inside, bool in_prologue) const {
        // Above the return address a called function may store its parameters. (The stack probe has
        // none.)
        const bool has_no_caller = mnemonic() == ZYDIS_MNEMONIC_CALL && !in_prologue &&
                                   state_.rsp == StackState::entry_rsp;
        if (mnemonic() == ZYDIS_MNEMONIC_IRETQ || mnemonic() == ZYDIS_MNEMONIC_VMRESUME ||
            has_no_caller) {
            return Leaving::by_processor;
        }
        const bool is_tail_call = is_jump() && target() && !is_inside;
        return mnemonic() == ZYDIS_MNEMONIC_RET || is_tail_call ? Leaving::by_return : Leaving::no;
    }

    /// The target of a direct jump.
    [[nodiscard]] std::optional<std::uint32_t> target() const {
        return operands_[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE
                   ? std::optional{next() + static_cast<std::uint32_t>(operands_[0].imm.value.s)}
                   : std::nullopt;
    }

    void execute(bool in_prologue) {
        switch (mnemonic()) {
            case ZYDIS_MNEMONIC_PUSH:
                state_.rsp -= 8;
                state_.stack[state_.rsp] = value_of(operands_[0]);
                return;
            case ZYDIS_MNEMONIC_POP:
                state_.rsp += 8;
                return put(operands_[0], load(state_.rsp - 8));
            case ZYDIS_MNEMONIC_PUSHFQ:
                state_.rsp -= 8;
                state_.stack[state_.rsp].reset();
                return;
            case ZYDIS_MNEMONIC_POPFQ:
                state_.rsp += 8;
                return;
            case ZYDIS_MNEMONIC_CALL:
                return call(in_prologue);
            case ZYDIS_MNEMONIC_XCHG:  // with itself: the emulator's breakpoint
                return operands_[0].reg.value == operands_[1].reg.value ? void() : forget_results();
            case ZYDIS_MNEMONIC_MOV:
                return put(operands_[0], value_of(operands_[1]));
            case ZYDIS_MNEMONIC_LEA:
                return put(operands_[0], address_of(operands_[1]));
            case ZYDIS_MNEMONIC_ADD:
            case ZYDIS_MNEMONIC_SUB:
            case ZYDIS_MNEMONIC_AND:
                return put(operands_[0], calculated());
            case ZYDIS_MNEMONIC_MOVAPS:
            case ZYDIS_MNEMONIC_MOVUPS:
            case ZYDIS_MNEMONIC_MOVAPD:
            case ZYDIS_MNEMONIC_MOVDQA:
            case ZYDIS_MNEMONIC_MOVDQU:
                return put_vector(operands_[0], vector_of(operands_[1]));
            default:
                return forget_results();
        }
    }

private:
    [[nodiscard]] ZydisMnemonic mnemonic() const { return instruction_.mnemonic; }
    [[nodiscard]] bool is_jump() const {
        return instruction_.meta.category == ZYDIS_CATEGORY_UNCOND_BR;
    }

    /// A call in a prologue is the stack probe, which changes nothing.
    void call(bool in_prologue) {
        if (in_prologue) {
            return;
        }
        for (std::size_t i = 0; i < 16; ++i) {
            constexpr unsigned volatile_registers = 0b0000'1111'0000'0111;
            if ((volatile_registers >> i & 1) != 0) {
                state_.general[i].reset();
            }
            if (i < first_preserved_vector) {
                state_.vectors[i].reset();
            }
        }
        constexpr std::uint64_t home_bytes = 32;
        for (std::uint64_t at = 0; at < home_bytes; at += 8) {
            state_.stack[state_.rsp + at].reset();
        }
    }

    [[nodiscard]] std::optional<std::uint64_t> calculated() const {
        const auto left = value_of(operands_[0]);
        const auto right = value_of(operands_[1]);
        if (!left || !right) {
            return std::nullopt;
        }
        return mnemonic() == ZYDIS_MNEMONIC_ADD   ? *left + *right
               : mnemonic() == ZYDIS_MNEMONIC_SUB ? *left - *right
                                                  : *left & *right;
    }

    void forget_results() {
        for (std::size_t i = 0; i < instruction_.operand_count; ++i) {
            const auto& operand = operands_[i];
            if ((operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == 0) {
                continue;
            }
            if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
                ZydisRegisterGetClass(operand.reg.value) == ZYDIS_REGCLASS_XMM) {
                put_vector(operand, std::nullopt);
            } else {
                put(operand, std::nullopt);
            }
        }
    }

    [[nodiscard]] std::optional<std::uint64_t> general(ZydisRegister name) const {
        const auto number = general_number(name);
        if (!number) {
            return std::nullopt;
        }
        return *number == rsp_number ? std::optional{state_.rsp} : state_.general[*number];
    }

    [[nodiscard]] std::optional<std::uint64_t> address_of(
        const ZydisDecodedOperand& operand) const {
        const auto& place = operand.mem;
        if (place.segment == ZYDIS_REGISTER_GS || place.segment == ZYDIS_REGISTER_FS ||
            place.base == ZYDIS_REGISTER_RIP) {
            return std::nullopt;
        }
        std::uint64_t address = static_cast<std::uint64_t>(place.disp.value);
        if (place.base != ZYDIS_REGISTER_NONE) {
            const auto base = general(place.base);
            if (!base) {
                return std::nullopt;
            }
            address += *base;
        }
        if (place.index != ZYDIS_REGISTER_NONE) {
            const auto index = general(place.index);
            if (!index) {
                return std::nullopt;
            }
            address += *index * place.scale;
        }
        return address;
    }

    [[nodiscard]] std::optional<std::uint64_t> load(std::uint64_t address) const {
        const auto found = state_.stack.find(address);
        return found != state_.stack.end() ? found->second : std::nullopt;
    }

    [[nodiscard]] std::optional<std::uint64_t> value_of(const ZydisDecodedOperand& operand) const {
        switch (operand.type) {
            case ZYDIS_OPERAND_TYPE_IMMEDIATE:
                return operand.imm.value.u;
            case ZYDIS_OPERAND_TYPE_REGISTER:
                // A write of the lower half clears the upper one; a read of the lower half is not
                // tracked.
                return operand.size == 64 ? general(operand.reg.value) : std::nullopt;
            case ZYDIS_OPERAND_TYPE_MEMORY: {
                const auto address = address_of(operand);
                return address && operand.size == 64 ? load(*address) : std::nullopt;
            }
            default:
                return std::nullopt;
        }
    }

    [[nodiscard]] std::optional<Vector> vector_of(const ZydisDecodedOperand& operand) const {
        if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) {
            const auto number = number_of(operand.reg.value, ZYDIS_REGISTER_XMM0);
            return number ? state_.vectors[*number] : std::nullopt;
        }
        const auto address = address_of(operand);
        const auto low = address ? load(*address) : std::nullopt;
        const auto high = address ? load(*address + 8) : std::nullopt;
        return low && high ? std::optional{Vector{*low, *high}} : std::nullopt;
    }

    void put(const ZydisDecodedOperand& operand, std::optional<std::uint64_t> value) {
        if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) {
            const auto number = general_number(operand.reg.value);
            if (!number) {
                return;
            }
            const bool whole = operand.size == 64 || (operand.size == 32 && value);
            if (*number == rsp_number) {
                state_.is_elsewhere = state_.is_elsewhere || !value;
                state_.rsp = value.value_or(state_.rsp - some_room);
            } else {
                state_.general[*number] = whole ? value : std::nullopt;
            }
        } else if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) {
            make_unknown(operand);
            const auto address = address_of(operand);
            if (address && is_stack(*address) && operand.size == 64) {
                state_.stack[*address] = value;
            }
        }
    }

    void put_vector(const ZydisDecodedOperand& operand, std::optional<Vector> value) {
        if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) {
            if (const auto number = number_of(operand.reg.value, ZYDIS_REGISTER_XMM0)) {
                state_.vectors[*number] = value;
            }
            return;
        }
        make_unknown(operand);
        const auto address = address_of(operand);
        if (address && value && is_stack(*address)) {
            state_.stack[*address] = (*value)[0];
            state_.stack[*address + 8] = (*value)[1];
        }
    }

    /// The value at the operand's destination is unknown now.
    void make_unknown(const ZydisDecodedOperand& operand) {
        const auto address = address_of(operand);
        if (!address || !is_stack(*address)) {
            return;
        }
        for (std::uint64_t at = *address & ~7ULL; at < *address + operand.size / 8; at += 8) {
            state_.stack[at].reset();
        }
    }

    std::uint32_t address_;
    StackState& state_;
    ZydisDecodedInstruction instruction_{};
    std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands_{};
    bool known_{};
};

void FunctionWalk::from(std::uint32_t address, const StackState& start) {
    std::vector<std::pair<std::uint32_t, StackState>> ways{{address, start}};
    while (!ways.empty()) {
        auto [at, state] = std::move(ways.back());
        ways.pop_back();
        while (at >= function_.begin && at < function_.end && visited_.insert(at).second) {
            Step step{memory_, at, state};
            if (!step.is_known()) {
                break;
            }
            const bool in_prologue = at - function_.begin < prologue_bytes_;
            const auto target = step.may_jump() ? step.target() : std::nullopt;
            const bool is_inside = target && *target >= function_.begin && *target < function_.end;
            visit_(at, state, step.leaving(is_inside, in_prologue));
            if (is_inside) {
                ways.emplace_back(*target, state);
            }
            if (!step.goes_on()) {
                break;
            }
            step.execute(in_prologue);
            if (state.is_elsewhere) {
                break;
            }
            at = step.next();
        }
    }
}

}  // namespace hvp::tests
