#include "common/io/proc_scan.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <memory>

#include "common/io/unique_fd.hpp"

namespace svc {
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

/// The text of one read(2), which /proc/PID/stat always fits.
std::optional<ProcessFacts> read_facts(int proc, const char* path) {
  const UniqueFd file(::openat(proc, path, O_RDONLY | O_CLOEXEC));
  if (!file) return std::nullopt;
  std::array<char, 1024> text{};
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  if (size <= 0) return std::nullopt;
  return parse_process_stat({text.data(), static_cast<std::size_t>(size)});
}

/// "123/stat" for an entry of /proc that is a process; "" for others.
std::string stat_path(std::string_view entry) {
  if (entry.empty() || entry.front() < '1' || entry.front() > '9') return {};
  std::string path(entry);
  path += "/stat";
  return path;
}

}  // namespace

std::vector<ProcessFacts> scan_processes() {
  std::vector<ProcessFacts> all;
  const std::unique_ptr<DIR, CloseFolder> proc(::opendir("/proc"));
  if (!proc) return all;
  while (const dirent* entry = ::readdir(proc.get())) {
    const std::string path = stat_path(entry->d_name);
    if (path.empty()) continue;
    if (const auto facts = read_facts(::dirfd(proc.get()), path.c_str())) all.push_back(*facts);
  }
  return all;
}

std::vector<ProcessFacts> scan_descendants(pid_t root) { return descendants_of(scan_processes(), root); }

std::optional<ProcessFacts> facts_of(pid_t pid) {
  return read_facts(AT_FDCWD, ("/proc/" + std::to_string(pid) + "/stat").c_str());
}

bool signal_process(const ProcessFacts& process, int signal) {
  const UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0U)));
  if (!handle && errno == ESRCH) return false;
  // The handle is some process's by now; whose is told by the start time.
  const auto now = facts_of(process.pid);
  if (!now || now->start_ticks != process.start_ticks) return false;
  if (handle) return ::syscall(SYS_pidfd_send_signal, handle.get(), signal, nullptr, 0U) == 0;
  return ::kill(process.pid, signal) == 0;  // kernels before 5.3
}

std::string read_small_file(const std::string& path) {
  std::string text;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return text;
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t size = ::read(file.get(), piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(size));
  }
}

bool write_small_file(const std::string& path, std::string_view text) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

}  // namespace svc
