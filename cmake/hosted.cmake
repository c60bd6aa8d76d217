# How programs that run on the Linux host are built: the tool, and the tests.

find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)

set(hvp_warnings
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wnon-virtual-dtor
    -Wold-style-cast -Wimplicit-fallthrough -Wextra-semi)
# They are errors in `./playground test` (cmake/compile).

# Without debug information, which takes a tenth of the time to compile: a failed check names its own line,
# and a sanitizer names functions. `cmake -B build -DHVP_DEBUG=-g` gives all of it.
set(HVP_DEBUG -g0 CACHE STRING "debug information of what runs on the host")
# Not optimised, which halves the time: a run of the tool waits for the emulator, not for itself.
# A precompiled header without the times of what is in it serves every copy of the tree.
set(hvp_hosted_options ${hvp_warnings} -O0 ${HVP_DEBUG} "SHELL:-Xclang -fno-pch-timestamp")

# Paths in debug information and in __FILE__ are relative to the repository, so that two builds
# from two folders give the same bytes; also where ccache names files as seen from the build folder.
file(RELATIVE_PATH hvp_sources_from_build ${PROJECT_BINARY_DIR} ${PROJECT_SOURCE_DIR})
set(hvp_relocatable_paths
    -ffile-prefix-map=${PROJECT_SOURCE_DIR}/=
    -ffile-prefix-map=${PROJECT_BINARY_DIR}/=
    -ffile-prefix-map=${hvp_sources_from_build}=
    -fdebug-compilation-dir=.)

# hvp_hosted_library(NAME source...): a static library for the host.
function(hvp_hosted_library name)
    add_library(${name} STATIC ${ARGN})
    target_compile_options(${name} PRIVATE ${hvp_hosted_options})
    target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
endfunction()

# hvp_compile_rooms(TARGET): the sources of each folder are compiled as one. Then what they include is
# read once, and its templates are instantiated once: a third of the time. What a source has in an
# unnamed namespace is seen by its neighbours, so it has a name of its own there. (The tests compile the
# same sources one by one, for hvp_checked: a mutation then waits for its own file alone.)
function(hvp_compile_rooms target)
    get_target_property(sources ${target} SOURCES)
    foreach(source IN LISTS sources)
        cmake_path(GET source PARENT_PATH folder)
        cmake_path(GET folder FILENAME room)
        set_property(SOURCE ${source} PROPERTY UNITY_GROUP "${room}_room")
    endforeach()
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
endfunction()

# hvp_hosted_executable(NAME source...): a program for the host.
function(hvp_hosted_executable name)
    add_executable(${name} ${ARGN})
    target_compile_options(${name} PRIVATE ${hvp_hosted_options})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
    target_link_options(${name} PRIVATE -fuse-ld=lld)
endfunction()

# hvp_checked(TARGET): builds it under ASan and UBSan, and with coverage counters, which tests/coverage
# reads. They are written only if LLVM_PROFILE_FILE names a file.
function(hvp_checked target)
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
    target_compile_options(${target} PRIVATE ${hvp_hosted_options}
        -fsanitize=address,undefined -fno-sanitize-recover=all
        -fprofile-instr-generate=/dev/null -fcoverage-mapping)
    target_link_options(${target} PRIVATE -fuse-ld=lld
        -fsanitize=address,undefined -fprofile-instr-generate)
endfunction()

# hvp_fuzzed(TARGET): with counters for libFuzzer, too (tests/fuzz). In other programs they do nothing.
function(hvp_fuzzed target)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
endfunction()

# The headers that all tests include, and that take longer to compile than the test itself.
function(hvp_checked_headers)
    set(source ${CMAKE_CURRENT_BINARY_DIR}/checked_headers.cpp)
    file(CONFIGURE OUTPUT ${source} CONTENT "")
    add_library(checked_headers OBJECT ${source})
    hvp_checked(checked_headers)
    target_precompile_headers(checked_headers PRIVATE <gmock/gmock.h>
        <tool/base/json_templates.hpp>)
endfunction()

# hvp_test(NAME source... [LIBS library...] [UNCHECKED]): a GoogleTest program, checked as above.
# The pure sources under test are listed again, or are a checked library. UNCHECKED: it contains no
# code of ours but the test itself, and compiles in half the time.
function(hvp_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "UNCHECKED" "" "LIBS")
    if(arg_UNCHECKED)
        hvp_hosted_executable(${name} ${arg_UNPARSED_ARGUMENTS})
    else()
        add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
        hvp_checked(${name})
        target_precompile_headers(${name} REUSE_FROM checked_headers)
    endif()
    target_link_libraries(${name} PRIVATE ${arg_LIBS} gmock gtest gtest_main)
    # A fixed seed: RapidCheck's tests are the same ones each time.
    set(environment "RC_PARAMS=seed=1 max_success=300")
    # All tests in one process: with the sanitizers, starting a process takes longer than most tests.
    # Its counters are for tests/coverage.
    add_test(NAME unit.${name} COMMAND ${name} --gtest_brief=1)
    set_tests_properties(unit.${name} PROPERTIES COST 950 FIXTURES_SETUP counters
        ENVIRONMENT "${environment};LLVM_PROFILE_FILE=${CMAKE_BINARY_DIR}/counters/${name}.profraw")
    # And each by its name, to run single tests: `./playground test` leaves out this label.
    include(GoogleTest)
    gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60
        PROPERTIES LABELS single ENVIRONMENT ${environment})
endfunction()
