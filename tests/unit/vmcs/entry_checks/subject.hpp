// A VMCS and a processor in ordinary memory, where everything can be changed: what the rules of VM
// entry are tried on.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hypervisor/vmcs/entry_checks.hpp"

namespace hvp::vmx::checks {

/// Both sides of an examination; everything in it is known, unless it was `forget`-ed.
class Subject {
public:
    // What a rule reads.
    [[nodiscard]] std::optional<std::uint64_t> find(std::uint32_t encoding) const {
        return look_up({Item::Kind::field, encoding});
    }
    [[nodiscard]] std::optional<std::uint64_t> msr(Msr index) const { return look_up(item(index)); }
    [[nodiscard]] std::optional<std::uint64_t> fact(Fact fact) const { return look_up(item(fact)); }
    [[nodiscard]] std::optional<std::uint64_t> memory(std::uint64_t physical) const {
        return look_up({Item::Kind::memory, physical});
    }

    // What a test writes.
    template <typename Thing>
    Subject& set(Thing thing, std::uint64_t value) {
        values_[key(item(thing))] = value;
        return *this;
    }
    Subject& set_memory(std::uint64_t physical, std::uint64_t value) {
        return set(Item{Item::Kind::memory, physical}, value);
    }
    template <typename Thing>
    Subject& add(Thing thing, std::uint64_t bits) {
        values_[key(item(thing))] |= bits;
        return *this;
    }
    template <typename Thing>
    Subject& remove(Thing thing, std::uint64_t bits) {
        values_[key(item(thing))] &= ~bits;
        return *this;
    }
    template <typename... Controls>
    Subject& on(Controls... controls) {
        (add(word_of(controls), static_cast<std::uint64_t>(controls)), ...);
        return *this;
    }
    template <typename... Controls>
    Subject& off(Controls... controls) {
        (remove(word_of(controls), static_cast<std::uint64_t>(controls)), ...);
        return *this;
    }
    Subject& forget(Item what) {
        values_.erase(key(what));
        return *this;
    }

private:
    using Key = std::pair<Item::Kind, std::uint64_t>;
    static Key key(Item what) { return {what.kind, what.number}; }
    [[nodiscard]] std::optional<std::uint64_t> look_up(Item what) const {
        const auto found = values_.find(key(what));
        return found == values_.end() ? std::nullopt : std::optional{found->second};
    }
    static Item word_of(Pin) { return item(pin_based_controls); }
    static Item word_of(Primary) { return item(primary_processor_based_controls); }
    static Item word_of(Secondary) { return item(secondary_processor_based_controls); }
    static Item word_of(ExitControl) { return item(exit_controls); }
    static Item word_of(EntryControl) { return item(entry_controls); }

    std::map<Key, std::uint64_t> values_;
};

/// Windows' kernel as the guest and as the host, on a processor that has every control: nothing is
/// broken, and everything is known.
[[nodiscard]] Subject windows_guest();

/// The same with a guest in 32-bit protected mode with paging, in virtual-8086 mode, and, as an
/// unrestricted guest, in real mode.
void make_32_bit(Subject& x);
void make_8086(Subject& x);
void make_real_mode(Subject& x);
/// The same with VM entry executed outside IA-32e mode: guest and host are 32-bit.
void make_32_bit_host(Subject& x);

/// A rule's identifier with its subject.
[[nodiscard]] std::string id_of(const EntryRule& rule);

/// What `examine` says: identifiers, in the table's order.
struct Report {
    std::vector<std::string> broken;
    std::vector<std::string> unchecked;
};
[[nodiscard]] Report report_on(const Subject& subject);

/// One rule's case: with `valid` the rule has something to look at and nothing is broken; with
/// `broken` on top exactly this rule is.
struct Case {
    std::string id;
    void (*valid)(Subject&);
    void (*broken)(Subject&);
    std::string also{};  ///< a rule that cannot hold then, either
};

/// The cases, each list in a file of its own.
[[nodiscard]] std::vector<Case> control_cases();
[[nodiscard]] std::vector<Case> host_cases();
[[nodiscard]] std::vector<Case> guest_register_cases();
[[nodiscard]] std::vector<Case> guest_segment_cases();
[[nodiscard]] std::vector<Case> guest_state_cases();

}  // namespace hvp::vmx::checks
