#include "agent/io/run_files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/core/hex_text.hpp"
#include "common/core/percent_codec.hpp"
#include "common/io/proc_scan.hpp"
#include "common/io/unique_fd.hpp"

namespace svc::agent {
namespace {

/// The address of a Unix socket has room for no more beside "/proc/self/fd/NNNN/" and ".sock".
constexpr std::size_t kLongestName = 72;

std::string file_name(const std::string& name) {
  std::string encoded = percent_encode(name);
  if (encoded.size() <= kLongestName) return encoded;
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a: it must be the same in every build
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  encoded.resize(kLongestName - 17);
  encoded += '-';
  append_hex(encoded, hash);
  return encoded;
}

std::string error_text() { return std::generic_category().message(errno); }

}  // namespace

RunFiles::RunFiles(const std::string& state_dir, const std::string& name) {
  const std::string base = state_dir + "/" + file_name(name);
  lock = base + ".lock";
  socket = base + ".sock";
  agent_lock = base + ".agent";
}

Result<void> make_folder_of(const std::string& file) {
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  std::error_code failure;
  if (!folder.parent_path().empty()) std::filesystem::create_directories(folder.parent_path(), failure);
  if (!failure && ::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    failure.assign(errno, std::generic_category());
  }
  if (failure) return io_failed("cannot make the state directory '" + folder.string() + "'", failure.message());
  return {};
}

Result<int> take_lock(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return io_failed("cannot open the lock file '" + path + "'", error_text());
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file.release();
  if (errno != EWOULDBLOCK) return io_failed("cannot lock '" + path + "'", error_text());
  Error taken = conflict("'" + path + "' is locked");
  taken.retryable = true;
  return taken;
}

bool is_kept(const RunFiles& files) {
  std::error_code unknown;
  if (!std::filesystem::exists(files.socket, unknown)) return false;
  const auto free = take_lock(files.lock);
  if (free.has_error()) return free.error().code == Errc::conflict;
  const UniqueFd released(*free);
  return false;
}

bool had_runs(const RunFiles& files) {
  std::error_code unknown;
  return std::filesystem::exists(files.lock, unknown);
}

void write_holder(int lock) {
  const std::string text = std::to_string(::getpid()) + "\n";
  // A disk without room is no reason not to run.
  if (::ftruncate(lock, 0) != 0 || ::pwrite(lock, text.data(), text.size(), 0) < 0) errno = 0;
}

std::string lock_holder(const std::string& path) {
  const std::string text = read_small_file(path);
  const std::string pid = text.substr(0, text.find('\n'));
  return pid.empty() || pid.find_first_not_of("0123456789") != std::string::npos ? "unknown" : pid;
}

Result<AgentLock> AgentLock::take(const RunFiles& files) {
  if (auto made = make_folder_of(files.agent_lock); made.has_error()) return made.error();
  const auto fd = take_lock(files.agent_lock);
  if (fd.has_error()) {
    if (fd.error().code != Errc::conflict) return fd.error();
    return conflict("another agent (process " + lock_holder(files.agent_lock) + ") runs this service and holds '" +
                    files.agent_lock + "'");
  }
  AgentLock lock(*fd);
  write_holder(*fd);
  return lock;
}

AgentLock::AgentLock(AgentLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

AgentLock& AgentLock::operator=(AgentLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

AgentLock::~AgentLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace svc::agent
