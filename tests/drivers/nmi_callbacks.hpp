// What mingw-w64's headers do not declare of NMIs.  [Windows: KeRegisterNmiCallback]
#pragma once

#include "platform/windows/nt.hpp"

using NmiCallback = BOOLEAN(NTAPI*)(PVOID context, BOOLEAN handled);
extern "C" NTKERNELAPI PVOID NTAPI KeRegisterNmiCallback(NmiCallback CallbackRoutine,
                                                         PVOID Context);
extern "C" NTKERNELAPI NTSTATUS NTAPI KeDeregisterNmiCallback(PVOID Handle);
