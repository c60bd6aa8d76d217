// How a routine becomes something that drivers can import: it is exported from the kernel's image,
// under its C name. The image's export directory is the list; there is no other.
#pragma once

// A macro, because only the preprocessor can put a linkage specification in front.
#define NT_EXPORT extern "C" __declspec(dllexport)
