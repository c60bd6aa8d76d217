#include "lab/machine/debugger_answers.hpp"

#include <gtest/gtest.h>

#include "lab/machine/vmcs_layout.hpp"

namespace hvp::lab {
namespace {

// As Bochs 2.7 writes it.
constexpr std::string_view console =
    "Next at t=0\r\n"
    "(0) [0x0000fffffff0] f000:fff0 (unk. ctxt): jmpf 0xf000:0000          ; ea000000f0\r\n"
    "Time breakpoint inserted. Delta = 458138\r\n"
    "(0) Caught time breakpoint\r\n"
    "Next at t=458138\r\n"
    "(0) [0x00000051cac8] 0010:fffff801a5e52ac8 (unk. ctxt): vmlaunch      ; 0f01c2\r\n"
    "CPU0:\r\n"
    "rax: 00000000_0006fd89\r\n"
    "r8 : 00000000_00000001\r\n"
    "rip: fffff801_a5e52ac8\r\n"
    "eflags 0x00000002: id vip vif ac vm rf nt IOPL=0 of df if tf sf zf af pf cf\r\n"
    "CR3=0x000000039000\r\n"
    "idtr:base=0xfffff80000046000, limit=0xfff\r\n"
    "    PCD=page-level cache disable=0\r\n"
    "[bochs]:\r\n"
    "0x000000001fffea90 <bogus+       0>:\t0x01000000\t0x00000000\t0x00008b00\t0x00000000\r\n"
    "0x000000001fffee88 <bogus+    1016>:\t0xa5e51e3e\t0xfffff801\t0x00000002\t0x00000000\r\n"
    "(0) Caught write watch point at 0x00001fffee88\r\n"
    "Next at t=458140\r\n";

TEST(DebuggerAnswers, AreReadStopByStop) {
    const auto stops = read_stops(console);
    ASSERT_EQ(stops.size(), 3U);
    EXPECT_EQ(stops[0].tick, 0U);
    EXPECT_EQ(stops[0].why, "");
    EXPECT_EQ(stops[1].tick, 458138U);
    EXPECT_EQ(stops[1].why, "time breakpoint");
    EXPECT_EQ(stops[1].find("rax"), 0x6fd89U);
    EXPECT_EQ(stops[1].find("r8"), 1U);
    EXPECT_EQ(stops[1].find("rip"), 0xfffff801a5e52ac8U);
    EXPECT_EQ(stops[1].find("eflags"), 2U);
    EXPECT_EQ(stops[1].find("cr3"), 0x39000U);
    EXPECT_EQ(stops[1].find("idtr base"), 0xfffff80000046000U);
    EXPECT_EQ(stops[1].find("idtr limit"), 0xfffU);
    EXPECT_EQ(stops[0].instruction, "jmpf 0xf000:0000");
    EXPECT_EQ(stops[1].instruction, "vmlaunch");
    EXPECT_EQ(stops[1].find("rbx"), std::nullopt);
    EXPECT_EQ(stops[2].why, "write watch point at 0x00001fffee88");
    EXPECT_TRUE(stops[2].registers.empty());
}

TEST(DebuggerAnswers, MemoryIsReadByteByByte) {
    const DebuggerStop stop = read_stops(console)[1];
    EXPECT_EQ(stop.memory(0x1fffee88, 8), 0xfffff801a5e51e3eU);
    EXPECT_EQ(stop.memory(0x1fffee89, 2), 0xe51eU);
    EXPECT_EQ(stop.memory(0x1fffee8e, 4), 0x2ffffU);
    EXPECT_EQ(stop.memory(0x1fffee84, 8), std::nullopt);  // the first half was not shown
    EXPECT_EQ(stop.memory(0x1fffee94, 8), std::nullopt);
}

TEST(DebuggerAnswers, WhatAMachineSaysIsNone) {
    EXPECT_TRUE(read_stops("").empty());
    EXPECT_TRUE(read_stops("rax: 00000000_00000001\n0x10 <bogus+ 0>:\t0x1\n").empty());
    const auto stops = read_stops(
        "Next at t=\nrax: 1\nrax: zzzzzzzz_zzzzzzzz\nCR3=0x\n"
        "0x10 <bogus+ 0>:\t0xg\n");
    ASSERT_EQ(stops.size(), 1U);
    EXPECT_TRUE(stops[0].registers.empty());
    EXPECT_TRUE(stops[0].words.empty());
}

TEST(VmcsLayout, FieldsLieByWidthTypeAndIndex) {
    EXPECT_EQ(vmcs_offset(0x0000), 0x010U);
    EXPECT_EQ(vmcs_offset(0x681E), 0xE88U);
    EXPECT_EQ(vmcs_offset(0x6840), std::nullopt);  // index 32
    EXPECT_EQ(vmcs_offset(0x8000), std::nullopt);
    EXPECT_EQ(vmcs_offset(0xFFFFFFFF), std::nullopt);
}

TEST(VmcsLayout, AccessRightsAreKeptRotated) {
    const DebuggerStop stop = read_stops(console)[1];
    EXPECT_EQ(vmcs_field(stop, 0x1fffe000, 0x681E), 0xfffff801a5e51e3eU);
    EXPECT_EQ(vmcs_field(stop, 0x1fffe000, 0x4820), 0x10000U);
    EXPECT_EQ(vmcs_field(stop, 0x1fffe000, 0x4822), 0x8bU);
    EXPECT_EQ(vmcs_field(stop, 0x1fffe000, 0x4814), std::nullopt);
}

}  // namespace
}  // namespace hvp::lab
