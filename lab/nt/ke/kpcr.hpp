// The processor control region, which GS points to, at the offsets that drivers and debuggers have
// built in. Only fields that a driver may read are named.  [Windows: public symbols, _KPCR]
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hvp::lab::ke {

struct Kthread;

/// The processor control block, inside the region.
struct Kprcb {
    std::uint32_t mxcsr{};
    std::uint8_t legacy_number{};
    std::array<std::uint8_t, 3> unused_5{};
    Kthread* current_thread{};
    Kthread* next_thread{};
    Kthread* idle_thread{};
    std::uint32_t nesting_level{};
    std::uint32_t number{};
    std::uint64_t rsp_base{};
    std::array<std::uint8_t, 0x10> unused_30{};
    std::uint8_t cpu_type{};
    std::uint8_t cpu_id{};
    std::uint16_t cpu_step{};
    std::uint32_t megahertz{};
    std::array<std::uint8_t, 0x40> unused_48{};
    std::uint16_t minor_version{};
    std::uint16_t major_version{};
    std::uint8_t build_type{};
    std::uint8_t cpu_vendor{};
    std::array<std::uint8_t, 0x3A> unused_8e{};
    std::uint64_t group_set_member{};
    std::uint8_t group{};
    std::uint8_t group_index{};
    std::array<std::uint8_t, 2> unused_d2{};
    std::uint32_t initial_apic_id{};
};
static_assert(offsetof(Kprcb, current_thread) == 0x008);
static_assert(offsetof(Kprcb, number) == 0x024);
static_assert(offsetof(Kprcb, rsp_base) == 0x028);
static_assert(offsetof(Kprcb, cpu_type) == 0x040);
static_assert(offsetof(Kprcb, minor_version) == 0x088);
static_assert(offsetof(Kprcb, cpu_vendor) == 0x08D);
static_assert(offsetof(Kprcb, group_set_member) == 0x0C8);
static_assert(offsetof(Kprcb, initial_apic_id) == 0x0D4);

/// The processor control region; about 48 KiB, as on Windows, most of it unused here.
struct alignas(4096) Kpcr {
    void* gdt_base{};
    void* tss_base{};
    std::uint64_t user_rsp{};
    Kpcr* self{};
    Kprcb* current_prcb{};
    std::uint64_t lock_array{};
    std::uint64_t used_self{};
    void* idt_base{};
    std::array<std::uint8_t, 0x10> unused_40{};
    std::uint8_t irql{};  ///< always 0 on x64: the IRQL is CR8
    std::array<std::uint8_t, 0x0F> unused_51{};
    std::uint16_t major_version{};
    std::uint16_t minor_version{};
    std::uint32_t stall_scale_factor{};
    std::array<std::uint8_t, 0x118> unused_68{};
    Kprcb prcb{};
    std::array<std::uint8_t, 0xC080 - 0x180 - sizeof(Kprcb)> rest{};
};
static_assert(offsetof(Kpcr, idt_base) == 0x038);
static_assert(offsetof(Kpcr, irql) == 0x050);
static_assert(offsetof(Kpcr, major_version) == 0x060);
static_assert(offsetof(Kpcr, stall_scale_factor) == 0x064);
static_assert(offsetof(Kpcr, prcb) == 0x180);

}  // namespace hvp::lab::ke
