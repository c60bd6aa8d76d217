// Which bug check a page fault causes, and what the lab knows about the address.
#include "lab/nt/ke/page_fault.hpp"

#include <bit>

#include "hypervisor/arch/instructions.hpp"
#include "lab/nt/ke/bugcheck.hpp"
#include "lab/nt/ke/irql.hpp"
#include "lab/nt/ke/thread.hpp"
#include "lab/nt/ldr/module.hpp"
#include "lab/nt/mm/blocks.hpp"
#include "lab/nt/mm/page_tables.hpp"

namespace hvp::lab::ke {
namespace {

/// [SDM 3A 4.7 "Page-Fault Exceptions"]
struct PageFaultCode {
    std::uint64_t present : 1 {};
    std::uint64_t write : 1 {};
    std::uint64_t user : 1 {};
    std::uint64_t reserved_bit : 1 {};
    std::uint64_t fetch : 1 {};
    std::uint64_t reserved_63_5 : 59 {};
};

/// One fault, and its bug check on Windows.
class PageFault {
public:
    explicit PageFault(const TrapFrame& frame)
        : frame_{frame},
          address_{arch::read_cr2()},
          code_{std::bit_cast<PageFaultCode>(frame.error_code)} {
        describe();
    }

    [[nodiscard]] std::optional<Exception> as_exception() const {
        if (current_irql() >= Irql::dispatch || mm::is_system(address_)) {
            return std::nullopt;
        }
        constexpr std::uint64_t executed = 8;
        const std::uint64_t kind = code_.fetch ? executed : std::uint64_t{code_.write};
        return Exception{access_violation, 2, {kind, address_.raw()}};
    }

    [[noreturn]] void become_bug_check() const {
        if (mm::is_stack_guard(address_)) {
            constexpr std::uint64_t double_fault = 8;
            stop(BugCheckCode::unexpected_kernel_mode_trap, {double_fault});
        }
        if (current_irql() >= Irql::dispatch) {
            stop_for_irql();
        }
        const std::uint64_t rip = frame_.rip;
        const std::uint64_t write = code_.write;
        const auto entry = mm::entry_for(address_);
        const auto raw_entry = entry ? std::bit_cast<std::uint64_t>(*entry) : 0;
        if (code_.present && code_.fetch) {
            stop(BugCheckCode::attempted_execute_of_noexecute_memory, {address_.raw(), raw_entry});
        }
        if (code_.present && code_.write) {
            stop(BugCheckCode::attempted_write_to_readonly_memory, {address_.raw(), raw_entry});
        }
        if (was_driver()) {
            stop(BugCheckCode::driver_unloaded_without_cancelling_pending_operations,
                 {address_.raw(), write, rip});
        }
        if (const auto* block = mm::block_near(address_)) {
            stop(block->live() ? BugCheckCode::driver_page_fault_beyond_end_of_allocation
                               : BugCheckCode::driver_page_fault_in_freed_special_pool,
                 {address_.raw(), write, rip});
        }
        constexpr std::uint64_t executed = 0x10;
        constexpr std::uint64_t no_table = 2;
        stop(BugCheckCode::page_fault_in_nonpaged_area,
             {address_.raw(), code_.fetch ? executed : write * 2, rip, entry ? 0 : no_table});
    }

private:
    [[noreturn]] void stop(BugCheckCode code, std::array<std::uint64_t, 4> parameters) const {
        bug_check(
            {.code = code, .parameters = parameters, .detail = detail_.view(), .frame = &frame_});
    }

    [[noreturn]] void stop_for_irql() const {
        const auto* module = ldr::module_at(frame_.rip);
        const bool in_driver = module == &ldr::driver_module();
        constexpr std::uint64_t executed = 8;
        stop(in_driver ? BugCheckCode::driver_irql_not_less_or_equal
                       : BugCheckCode::irql_not_less_or_equal,
             {address_.raw(), static_cast<std::uint64_t>(current_irql()),
              code_.fetch ? executed : std::uint64_t{code_.write}, frame_.rip});
    }

    [[nodiscard]] bool was_driver() const {
        const auto& driver = ldr::driver_module();
        return !driver.loaded && driver.holds(address_.raw());
    }

    void describe() {
        if (mm::is_stack_guard(address_)) {
            detail_.put("a guard page next to the stack of thread ").put(current_thread().name);
        } else if (const auto* block = mm::block_near(address_)) {
            describe(*block);
        } else if (was_driver()) {
            detail_.put("the address lies where the driver was before it was unloaded");
        } else if (const auto* module = ldr::module_at(address_.raw())) {
            detail_.put("the address lies in ").put(module->file).put(" at offset ");
            detail_.hex(address_.raw() - module->base);
        }
    }

    void describe(const mm::Block& block) {
        detail_.put(block.live() ? "the address lies outside, " : "the address lies in or near, ");
        detail_.put("counted from its start at byte ");
        if (address_.raw() < block.address) {
            detail_.put("-").decimal(block.address - address_.raw());
        } else {
            detail_.decimal(address_.raw() - block.address);
        }
        detail_.put(", a block of ").decimal(block.bytes).put(" bytes at ").hex(block.address);
        detail_.put(", allocated by ").hex(block.allocated_by);
        if (!block.live()) {
            detail_.put(", freed by ").hex(block.freed_by);
        }
    }

    const TrapFrame& frame_;
    mm::LinearAddress address_;
    PageFaultCode code_;
    rtl::Sentence detail_{};
};

}  // namespace

std::optional<Exception> exception_of_page_fault(const TrapFrame& frame) {
    return PageFault{frame}.as_exception();
}

void on_page_fault(const TrapFrame& frame) {
    PageFault{frame}.become_bug_check();
}

}  // namespace hvp::lab::ke
