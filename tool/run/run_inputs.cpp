#include "tool/run/run_inputs.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "lab/machine/configuration.hpp"
#include "lab/machine/emulator.hpp"
#include "lab/machine/ram_image.hpp"
#include "lab/machine/replay.hpp"
#include "tool/base/files.hpp"
#include "tool/base/subprocess.hpp"

namespace hvp::tool {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t largest_driver = 1ULL << 30;
constexpr std::size_t sha256_digits = 64;
constexpr std::string_view sentences_file = "sentences.txt";

std::string sha256(const fs::path& file) {
    const auto answer = capture({.arguments = {"sha256sum", "--", file.string()}, .folder = {}});
    return answer && answer->status == 0 ? answer->output.substr(0, sha256_digits) : "";
}

// A name that is safe in a path and in the boot block.
std::string plain_name(const fs::path& driver) {
    std::string name = driver.stem().string();
    for (char& c : name) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
        c = plain ? c : '_';
    }
    constexpr std::size_t longest = 60;
    return name.substr(0, longest);
}

std::expected<SentenceTable, std::string> read_sentences(const fs::path& file,
                                                         const Repository& repository) {
    const auto text = read_text(file);
    return text ? SentenceTable::parse(*text, fs::relative(file, repository.root).string())
                : std::unexpected{text.error()};
}

// A stage's own sentences and those that all stages share. Another driver may be a stage's, changed
// and renamed: its events get the sentences of any stage. Its calls have the names that all
// share, as each stage numbers its own from the same number.
std::expected<SentenceTable, std::string> sentences_for(const RunOptions& options,
                                                        const Repository& repository) {
    SentenceTable all;
    for (const std::string& stage :
         options.driver ? repository.stages() : std::vector{options.stage}) {
        const fs::path file = repository.stage(stage) / sentences_file;
        std::error_code ignored;
        if (!fs::exists(file, ignored)) {
            continue;
        }
        const auto own = read_sentences(file, repository);
        if (!own) {
            return own;
        }
        all.append_sentences(*own);
        if (!options.driver) {
            all.append_hypercalls(*own);
        }
    }
    const auto shared = read_sentences(repository.stage("shared") / sentences_file, repository);
    if (!shared) {
        return shared;
    }
    all.append_sentences(*shared);
    all.append_hypercalls(*shared);
    return all;
}

}  // namespace

std::expected<RunInputs, std::string> read_inputs(const RunOptions& options,
                                                  const Repository& repository) {
    RunInputs inputs;
    inputs.driver_path =
        options.driver ? absolute_path(*options.driver) : repository.stage_driver(options.stage);
    inputs.name = options.driver ? plain_name(inputs.driver_path) : options.stage;
    std::error_code error;
    const std::uint64_t bytes = fs::file_size(inputs.driver_path, error);
    if (!error && bytes > largest_driver) {
        return std::unexpected{fmt::format("{} has {} bytes; no driver is that large",
                                           inputs.driver_path.string(), bytes)};
    }
    auto driver = read_bytes(inputs.driver_path);
    if (!driver) {
        return std::unexpected{driver.error()};
    }
    if (driver->empty()) {
        return std::unexpected{inputs.driver_path.string() + " is empty"};
    }
    inputs.driver = std::move(*driver);
    inputs.driver_facts = {.name = inputs.driver_path.filename().string(),
                           .bytes = inputs.driver.size(),
                           .sha256 = sha256(inputs.driver_path)};
    const auto kernel_file = read_bytes(repository.kernel());
    if (!kernel_file) {
        return std::unexpected{kernel_file.error()};
    }
    auto kernel = lab::pe::layout(*kernel_file);
    if (!kernel) {
        return std::unexpected{fmt::format("{}: {}", repository.kernel().string(), kernel.error())};
    }
    inputs.kernel = std::move(*kernel);
    auto sentences = sentences_for(options, repository);
    if (!sentences) {
        return std::unexpected{sentences.error()};
    }
    inputs.sentences = std::move(*sentences);
    return inputs;
}

std::expected<void, std::string> write_machine(const RunOptions& options, const RunInputs& inputs,
                                               const Repository& repository,
                                               const RunFolder& folder) {
    const lab::LabSettings settings{
        .firmware_vmx = options.firmware_vmx,
        .processors = options.cpus,
        .memory_mib = options.memory_mib,
        .seed = options.seed,
        .timeout_ticks = options.timeout_ticks,
        .fail_allocation = options.fail_allocation,
        .loads = options.loads,
        .odd_state = options.odd_state,
        .start_processor = options.processor.value_or(lab::any_processor),
        .driver_name = inputs.name};
    const auto image = lab::ram_image(settings,
                                      {.bytes = inputs.kernel.bytes,
                                       .virtual_base = inputs.kernel.base,
                                       .entry = inputs.kernel.entry},
                                      inputs.driver);
    if (!image) {
        return std::unexpected{image.error()};
    }
    const auto rom = read_bytes(repository.rom());
    if (!rom) {
        return std::unexpected{rom.error()};
    }
    // Names without folders: the emulator's configuration knows no quoting.
    lab::MachineOptions machine{.model = options.model,
                                .processors = options.cpus,
                                .memory_mib = options.memory_mib,
                                .timeout_ticks = options.timeout_ticks,
                                .rom_file = "rom.bin",
                                .ram_image_file = "ram.img",
                                .msrs_file = "msrs",
                                .processor_log = options.processor_log};
    const auto text_of = [](const std::vector<std::byte>& bytes) {
        return std::string_view{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    };
    const std::string configuration = lab::bochsrc(machine);
    machine.processor_log = false;
    const std::string for_replays = lab::bochsrc(machine);
    const std::string script = lab::debugger_script(machine);
    const std::string msrs = lab::msr_list();
    const std::array<std::pair<std::string_view, std::string_view>, 6> files{{
        {"bochsrc", configuration},
        {lab::replay_configuration, for_replays},
        {"rc", script},
        {"msrs", msrs},
        {"rom.bin", text_of(*rom)},
        {"ram.img", text_of(*image)},
    }};
    for (const auto& [name, content] : files) {
        if (auto written = write_file(folder.work() / name, content); !written) {
            return written;
        }
    }
    return {};
}

AddressNames image_names(const RunInputs& inputs, const Repository& repository,
                         const Timeline& timeline) {
    AddressNames names;
    names.add({.name = "ntoskrnl.exe",
               .base = inputs.kernel.base,
               .bytes = inputs.kernel.bytes.size(),
               .file = repository.kernel()});
    for (const Event* loaded : timeline.all("lab", "ImageLoaded")) {
        names.add({.name = inputs.driver_facts.name,
                   .base = loaded->number("base"),
                   .bytes = loaded->number("bytes"),
                   .file = inputs.driver_path});
    }
    return names;
}

std::string emulator_complaint(int error) {
    return error == ENOENT ? fmt::format(
                                 "the emulator {} is missing; install it: apt-get install "
                                 "bochs bochs-term bochsbios vgabios",
                                 lab::emulator_program)
                           : fmt::format("the emulator {} cannot be started: {}",
                                         lab::emulator_program, strerror(error));
}

ExitStatus emulator_status(int error) {
    return error == ENOENT ? ExitStatus::host_lacks : ExitStatus::failed;
}

}  // namespace hvp::tool
