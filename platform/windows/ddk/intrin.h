// Stands in front of mingw-w64's intrin.h, whose inline functions clash with clang's Microsoft
// builtins (-fms-extensions). Here is only what clang lacks and what wdm.h's inline functions call.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// wdm.h's KeGetCurrentIrql and KfRaiseIrql read and write CR8: on x64 it is the IRQL.
static __inline__ unsigned long long __readcr8(void) {
    unsigned long long value;
    __asm__ __volatile__("mov %%cr8, %0" : "=r"(value));
    return value;
}
static __inline__ void __writecr8(unsigned long long value) {
    __asm__ __volatile__("mov %0, %%cr8" : : "r"(value) : "memory");
}

static __inline__ unsigned char __inbyte(unsigned short port) {
    unsigned char value;
    __asm__ __volatile__("inb %w1, %b0" : "=a"(value) : "Nd"(port));
    return value;
}
static __inline__ void __outbyte(unsigned short port, unsigned char value) {
    __asm__ __volatile__("outb %b0, %w1" : : "a"(value), "Nd"(port));
}
static __inline__ void __inbytestring(unsigned short port, unsigned char* to, unsigned long count) {
    __asm__ __volatile__("rep insb" : "+D"(to), "+c"(count) : "d"(port) : "memory");
}
static __inline__ void __outbytestring(unsigned short port, unsigned char* from, unsigned long count) {
    __asm__ __volatile__("rep outsb" : "+S"(from), "+c"(count) : "d"(port) : "memory");
}
static __inline__ unsigned short __inword(unsigned short port) {
    unsigned short value;
    __asm__ __volatile__("inw %w1, %w0" : "=a"(value) : "Nd"(port));
    return value;
}
static __inline__ void __outword(unsigned short port, unsigned short value) {
    __asm__ __volatile__("outw %w0, %w1" : : "a"(value), "Nd"(port));
}
static __inline__ void __inwordstring(unsigned short port, unsigned short* to, unsigned long count) {
    __asm__ __volatile__("rep insw" : "+D"(to), "+c"(count) : "d"(port) : "memory");
}
static __inline__ void __outwordstring(unsigned short port, unsigned short* from, unsigned long count) {
    __asm__ __volatile__("rep outsw" : "+S"(from), "+c"(count) : "d"(port) : "memory");
}
static __inline__ unsigned long __indword(unsigned short port) {
    unsigned long value;
    __asm__ __volatile__("inl %w1, %k0" : "=a"(value) : "Nd"(port));
    return value;
}
static __inline__ void __outdword(unsigned short port, unsigned long value) {
    __asm__ __volatile__("outl %k0, %w1" : : "a"(value), "Nd"(port));
}
static __inline__ void __indwordstring(unsigned short port, unsigned long* to, unsigned long count) {
    __asm__ __volatile__("rep insl" : "+D"(to), "+c"(count) : "d"(port) : "memory");
}
static __inline__ void __outdwordstring(unsigned short port, unsigned long* from, unsigned long count) {
    __asm__ __volatile__("rep outsl" : "+S"(from), "+c"(count) : "d"(port) : "memory");
}
static __inline__ void __movsb(unsigned char* to, const unsigned char* from, __SIZE_TYPE__ count) {
    __asm__ __volatile__("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}
static __inline__ void __movsw(unsigned short* to, const unsigned short* from, __SIZE_TYPE__ count) {
    __asm__ __volatile__("rep movsw" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}
static __inline__ void __movsd(unsigned long* to, const unsigned long* from, __SIZE_TYPE__ count) {
    __asm__ __volatile__("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

#ifdef __cplusplus
}
#endif
