#include "ctl/io/part_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "common/io/proc_scan.hpp"
#include "ctl/core/process_identity.hpp"

namespace svc::ctl {
namespace {

std::string process_folder(pid_t pid) { return "/proc/" + std::to_string(pid); }

std::string whole_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

bool runs_as(pid_t pid, const std::string& program, const std::string& marker) {
  const std::string folder = process_folder(pid);
  std::error_code unreadable;
  ProcessTexts texts;
  texts.exe = std::filesystem::read_symlink(folder + "/exe", unreadable).string();
  // Most processes are told apart by this alone.
  if (unreadable || texts.exe.find(program) == std::string::npos) return false;
  texts.cmdline = whole_file(folder + "/cmdline");
  texts.environ = whole_file(folder + "/environ");
  return is_part(texts, program, marker);
}

double uptime_of(pid_t pid) {
  const auto facts = facts_of(pid);
  double since_boot = 0;
  std::ifstream("/proc/uptime") >> since_boot;
  if (!facts) return 0;
  return std::max(0.0,
                  since_boot - static_cast<double>(facts->start_ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK)));
}

bool is_alive(const ProcessFacts& process) { return process.state != 'Z' && process.state != 'X'; }

std::optional<RunningPart> running(pid_t pid) { return RunningPart{pid, uptime_of(pid)}; }

}  // namespace

std::string marker_of(const std::string& pid_file) {
  std::error_code error;
  const auto whole = std::filesystem::weakly_canonical(pid_file, error);
  return part_marker(error ? pid_file : whole.string());
}

std::optional<RunningPart> find_part(const std::string& pid_file, const std::string& program) {
  const std::string marker = marker_of(pid_file);
  if (const pid_t pid = parse_pid(whole_file(pid_file)); pid > 0 && runs_as(pid, program, marker)) return running(pid);
  for (const ProcessFacts& process : scan_processes()) {
    if (is_alive(process) && runs_as(process.pid, program, marker)) return running(process.pid);
  }
  return std::nullopt;
}

bool is_running(pid_t pid) {
  const auto facts = facts_of(pid);
  return facts && is_alive(*facts);
}

std::optional<EndingPart> EndingPart::of(pid_t pid, const std::string& pid_file, const std::string& program) {
  UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  // Looked at once it is held: it cannot become another one any more.
  if (!process || !runs_as(pid, program, marker_of(pid_file))) return std::nullopt;
  return EndingPart(std::move(process));
}

void EndingPart::signal(int number) const { ::syscall(SYS_pidfd_send_signal, process_.get(), number, nullptr, 0); }

bool EndingPart::wait(Duration at_most) const {
  pollfd gone{process_.get(), POLLIN, 0};
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(at_most).count();
  return ::poll(&gone, 1, static_cast<int>(milliseconds)) > 0;
}

}  // namespace svc::ctl
