# How programs that run on the Linux host are built: the tool, and the tests.

find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)

set(hvp_warnings
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wnon-virtual-dtor
    -Wold-style-cast -Wimplicit-fallthrough -Wextra-semi -Werror)

# Enough debug information for a stack trace with lines; all of it takes a quarter longer to compile.
set(hvp_hosted_options ${hvp_warnings} -g1)

# Paths in debug information and in __FILE__ are relative to the repository, so that two builds
# from two folders give the same bytes.
set(hvp_relocatable_paths
    -ffile-prefix-map=${PROJECT_SOURCE_DIR}/=
    -ffile-prefix-map=${PROJECT_BINARY_DIR}/=
    -fdebug-compilation-dir=.)

# hvp_hosted_library(NAME source...): a static library for the host.
function(hvp_hosted_library name)
    add_library(${name} STATIC ${ARGN})
    target_compile_options(${name} PRIVATE ${hvp_hosted_options})
    target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
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
        -O0 -fsanitize=address,undefined -fno-sanitize-recover=all
        -fprofile-instr-generate=/dev/null -fcoverage-mapping
        -fcoverage-prefix-map=${PROJECT_SOURCE_DIR}/=)
    target_link_options(${target} PRIVATE -fuse-ld=lld
        -fsanitize=address,undefined -fprofile-instr-generate)
endfunction()

# The headers that all tests include, and that take longer to compile than the test itself.
function(hvp_checked_headers)
    set(source ${CMAKE_CURRENT_BINARY_DIR}/checked_headers.cpp)
    file(CONFIGURE OUTPUT ${source} CONTENT "")
    add_library(checked_headers OBJECT ${source})
    hvp_checked(checked_headers)
    target_precompile_headers(checked_headers PRIVATE <gmock/gmock.h> <nlohmann/json.hpp>)
endfunction()

# hvp_test(NAME source... [LIBS library...] [UNCHECKED]): a GoogleTest program, checked as above.
# The pure sources under test are listed again, or are a checked library. UNCHECKED: it contains no
# code of ours but the test itself, and compiles in half the time.
function(hvp_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "UNCHECKED" "" "LIBS")
    if(arg_UNCHECKED)
        hvp_hosted_executable(${name} ${arg_UNPARSED_ARGUMENTS})
        target_compile_options(${name} PRIVATE -O0)
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
