#include "tool/record/run_folder.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

namespace hvp::tool {

namespace fs = std::filesystem;

std::expected<RunFolder, std::string> RunFolder::create(const fs::path& runs,
                                                        const std::string& name) {
    std::error_code error;
    fs::create_directories(runs, error);
    const std::time_t now = std::time(nullptr);
    const std::string base = fmt::format("{:%Y-%m-%dT%H-%M-%SZ}-{}", fmt::gmtime(now), name);
    for (int twin = 1;; ++twin) {
        const fs::path path = runs / (twin == 1 ? base : fmt::format("{}-{}", base, twin));
        // mkdir() says whether it made the folder: no other program can have the same one.
        if (mkdir(path.c_str(), 0755) == 0) {
            RunFolder folder{path};
            if (mkdir(folder.work().c_str(), 0755) == 0) {
                return folder;
            }
        }
        if (errno != EEXIST) {
            return std::unexpected{
                fmt::format("cannot make the folder {}: {}", path.string(), std::strerror(errno))};
        }
    }
}

void RunFolder::become_latest() const {
    // A rename replaces the old link at once: there is no moment without one.
    std::error_code ignored;
    const fs::path fresh = path_.parent_path() / fmt::format(".latest-{}", getpid());
    fs::remove(fresh, ignored);
    fs::create_directory_symlink(path_.filename(), fresh, ignored);
    fs::rename(fresh, path_.parent_path() / "latest", ignored);
    fs::remove(fresh, ignored);
}

void RunFolder::remove_work() const {
    std::error_code ignored;
    fs::remove_all(work(), ignored);
}

}  // namespace hvp::tool
