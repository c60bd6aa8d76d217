#include "tool/base/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace hvp::tool {
namespace {

constexpr std::size_t buffer_bytes = 1 << 16;
constexpr mode_t readable_by_all = 0644;

std::string cannot(std::string_view what, const std::filesystem::path& path, int error) {
    return fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(error));
}

}  // namespace

std::expected<std::vector<std::byte>, std::string> read_bytes(const std::filesystem::path& path) {
    const lab::Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    struct stat facts{};
    if (!file.is_open() || fstat(file.number(), &facts) != 0) {
        return std::unexpected{cannot("read", path, errno)};
    }
    if (!S_ISREG(facts.st_mode)) {
        return std::unexpected{fmt::format("cannot read {}: it is not a file", path.string())};
    }
    std::vector<std::byte> bytes(static_cast<std::size_t>(facts.st_size));
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t count = read(file.number(), bytes.data() + done, bytes.size() - done);
        if (count < 0 && errno != EINTR) {
            return std::unexpected{cannot("read", path, errno)};
        }
        if (count == 0) {
            break;
        }
        done += static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    }
    bytes.resize(done);
    return bytes;
}

std::filesystem::path absolute_path(const std::filesystem::path& path) {
    std::error_code error;
    std::filesystem::path absolute = std::filesystem::absolute(path, error);
    return error ? path : absolute;  // the current folder is gone: what follows fails, and says it
}

std::expected<std::string, std::string> read_standard_input() {
    std::string text;
    std::array<char, buffer_bytes> buffer{};
    for (;;) {
        const ssize_t count = read(STDIN_FILENO, buffer.data(), buffer.size());
        if (count == 0) {
            return text;
        }
        if (count < 0 && errno != EINTR) {
            return std::unexpected{cannot("read", "standard input", errno)};
        }
        text.append(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    }
}

std::expected<std::string, std::string> read_text(const std::filesystem::path& path) {
    const auto bytes = read_bytes(path);
    if (!bytes) {
        return std::unexpected{bytes.error()};
    }
    return std::string{reinterpret_cast<const char*>(bytes->data()), bytes->size()};
}

OutputFile::OutputFile(std::filesystem::path path, lab::Descriptor file)
    : path_{std::move(path)}, file_{std::move(file)} {}

std::expected<OutputFile, std::string> OutputFile::create(const std::filesystem::path& path) {
    lab::Descriptor file{
        open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, readable_by_all)};
    if (!file.is_open()) {
        return std::unexpected{cannot("write", path, errno)};
    }
    return OutputFile{path, std::move(file)};
}

void OutputFile::write(std::string_view bytes) {
    buffer_ += bytes;
    if (buffer_.size() >= buffer_bytes) {
        flush();
    }
}

void OutputFile::flush() {
    std::string_view left = buffer_;
    while (!left.empty() && error_.empty()) {
        const ssize_t count = ::write(file_.number(), left.data(), left.size());
        if (count >= 0) {
            left.remove_prefix(static_cast<std::size_t>(count));
        } else if (errno != EINTR) {
            error_ = cannot("write", path_, errno);
        }
    }
    buffer_.clear();
}

std::string OutputFile::close() {
    flush();
    file_.close();
    return error_;
}

std::expected<void, std::string> write_file(const std::filesystem::path& path,
                                            std::string_view content) {
    auto file = OutputFile::create(path);
    if (!file) {
        return std::unexpected{file.error()};
    }
    file->write(content);
    if (std::string error = file->close(); !error.empty()) {
        return std::unexpected{std::move(error)};
    }
    return {};
}

}  // namespace hvp::tool
