// Threads and the process that they belong to, as drivers see them through GS.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lab/nt/ke/dispatcher_objects.hpp"
#include "lab/nt/ke/extended_state.hpp"
#include "lab/nt/ke/wait.hpp"
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

/// What happens to a thread when its processor switches to another one.
enum class Fate : std::uint8_t { stays, moves, waits, ends };

/// [Windows: KeSetPriorityThread] 31 is the highest; system threads begin with 8.
using Priority = std::int32_t;
inline constexpr Priority usual_priority = 8;

/// A thread: Windows' fields at Windows' offsets, the lab's own after them. It is a dispatcher
/// object, and is signaled when it has ended.
struct Kthread {
    DispatcherHeader header{};
    std::array<std::uint8_t, 0x10> unused_18{};
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
    void (*before_end)(){};         ///< called by the thread as its last action
    void (*after_end)(Kthread&){};  ///< called by its processor when it has left the stack
    std::uint64_t id{};
    std::uint64_t system_affinity{};  ///< 0: the user affinity, which allows every processor
    ExtendedState extended{};         ///< while the thread does not run
    Kthread* next_ready{};
    Kthread* next_thread{};  ///< among all that have been created and not freed
    std::array<WaitBlock, 2> wait_blocks{};
    Ktimer timer{};  ///< for the end of its wait
    rtl::NtStatus wait_status{};
    rtl::ListEntry mutexes{};    ///< that it owns
    std::uint32_t processor{};   ///< where it runs, ran last, or is to run
    std::uint32_t ticks_here{};  ///< clock interrupts since it came to this processor
    Priority priority{usual_priority};
    Fate fate{Fate::stays};
    bool on_processor{};  ///< some processor is on its stack
    bool ready{};         ///< it is in the queue of `processor`
    bool terminating{};   ///< it ends as soon as its IRQL allows
    bool ended{};         ///< no processor is on its stack any more
};
static_assert(offsetof(Kthread, stack_base) == 0x38);
static_assert(offsetof(Kthread, kernel_stack) == 0x58);
static_assert(offsetof(Kthread, process) == 0xB8);

/// The thread that runs on this processor.
[[nodiscard]] Kthread& current_thread();

/// Turns the running code, on its stack, into this processor's idle thread.
void adopt_idle_thread(const mm::Stack& stack);

/// The stack that processor 0 started on.
[[nodiscard]] mm::Stack first_stack();

/// Whether the address lies on the running thread's stack or on one of this processor's interrupt
/// stacks.
[[nodiscard]] bool is_known_stack(mm::LinearAddress address);

/// The parameters of a new thread.
struct ThreadPlan {
    std::string_view name{};
    void (*routine)(void*){};
    void* context{};
    std::uint32_t processor{};  ///< where it starts
    std::uint64_t affinity{};   ///< 0: it may go everywhere
    std::uint64_t stack_pages{mm::thread_stack_pages};
    void (*before_end)(){};
    void (*after_end)(Kthread&){};
};

/// Makes a thread. It does not run yet.
///
/// Returns  null if memory is short
/// Where    below DISPATCH_LEVEL
[[nodiscard]] Kthread* create_thread(const ThreadPlan& plan);

/// Lets a new thread run.
void start(Kthread& thread);

/// The running thread ends.
///
/// Where    below DISPATCH_LEVEL
[[noreturn]] void exit_thread();

/// Terminates another thread.
///
/// Returns  false: it stays at a raised IRQL
/// Where    PASSIVE_LEVEL
[[nodiscard]] bool end_thread(Kthread& thread);

/// Frees a thread's memory.
///
/// Needs    it has ended, and no reference to it is left
/// Where    below DISPATCH_LEVEL
void free_thread(Kthread& thread);

/// All threads that were started and not freed, in the order of their start.
///
/// Where    dispatcher_lock is held
[[nodiscard]] Kthread* first_thread();

/// Runs `routine` on a thread of its own, and returns when it has returned.
///
/// Returns  the bytes of its stack that were used at the deepest point
/// Where    PASSIVE_LEVEL
std::uint64_t run_on_thread(const ThreadPlan& plan);

}  // namespace hvp::lab::ke
