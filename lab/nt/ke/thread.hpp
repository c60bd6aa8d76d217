// Threads and the process that they belong to, as drivers see them through GS.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lab/nt/ke/extended_state.hpp"
#include "lab/nt/mm/stacks.hpp"

namespace hvp::lab::ke {

/// The System process. Drivers read its page tables' address at +28h; the other fields lie where
/// Windows 10 2004 to 22H2 has them, for drivers that read them there.  [Windows: public symbols]
struct Kprocess {
    std::array<std::uint8_t, 0x28> header{};
    std::uint64_t directory_table_base{};
    std::array<std::uint8_t, 0x410> unused_30{};
    std::uint64_t unique_process_id{};
    std::array<std::uint8_t, 0x160> unused_448{};
    std::array<char, 16> image_file_name{};
    std::array<std::uint8_t, 0x270> rest{};
};
static_assert(offsetof(Kprocess, directory_table_base) == 0x28);
static_assert(offsetof(Kprocess, unique_process_id) == 0x440);
static_assert(offsetof(Kprocess, image_file_name) == 0x5A8);

/// What becomes of a thread that its processor leaves.
enum class Fate : std::uint8_t { stays, moves, ends };

/// A thread: Windows' fields at Windows' places, the lab's own behind them.
struct Kthread {
    std::array<std::uint8_t, 0x28> header{};
    std::uint64_t initial_stack{};
    std::uint64_t stack_limit{};
    std::uint64_t stack_base{};
    std::array<std::uint8_t, 0x18> unused_40{};
    std::uint64_t kernel_stack{};  ///< RSP while the thread does not run
    std::array<std::uint8_t, 0x58> unused_60{};
    Kprocess* process{};
    std::array<std::uint8_t, 0x540> rest{};

    mm::Stack stack{};
    std::string_view name{};
    void (*routine)(void*){};
    void* context{};
    std::uint64_t system_affinity{};  ///< 0: the user's, which allows every processor
    ExtendedState extended{};         ///< while the thread does not run
    Kthread* next_ready{};
    std::uint32_t target{};      ///< the processor that it moves to
    std::uint32_t waiter{};      ///< the processor that waits for its end
    std::uint32_t ticks_here{};  ///< clock interrupts since it came to this processor
    Fate fate{Fate::stays};
    bool ended{};
};
static_assert(offsetof(Kthread, stack_base) == 0x38);
static_assert(offsetof(Kthread, kernel_stack) == 0x58);
static_assert(offsetof(Kthread, process) == 0xB8);

/// The thread that runs on this processor.
[[nodiscard]] Kthread& current_thread();

/// Makes the code that runs now, on this stack, this processor's idle thread.
void adopt_idle_thread(const mm::Stack& stack);

/// The stack that processor 0 started on.
[[nodiscard]] mm::Stack first_stack();

/// Whether the address lies on the running thread's stack or on one of this processor's interrupt
/// stacks.
[[nodiscard]] bool is_known_stack(mm::LinearAddress address);

/// Runs `routine` on a thread of its own, with a 24 KiB stack, that starts on that processor, and
/// returns when it has returned.
///
/// Returns  the bytes of its stack that were used at the deepest point
/// Where    PASSIVE_LEVEL, the idle thread
std::uint64_t run_on_thread(std::string_view name, void (*routine)(void*), void* context,
                            std::uint32_t processor);

}  // namespace hvp::lab::ke
