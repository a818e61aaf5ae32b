// nvidia-smi as a child of the agent's own, for GpuMemory.
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string>
#include <utility>

#include "agent/io/child_watch.hpp"
#include "agent/io/load_meter.hpp"
#include "common/core/clock.hpp"
#include "common/io/unique_fd.hpp"

namespace svc::agent {
namespace {

using Pipe = asio::posix::stream_descriptor;
using MemoryAnswer = std::optional<std::uint64_t>;

constexpr Duration kTimeLimit = std::chrono::seconds(5);
constexpr Duration kKeep = std::chrono::seconds(10);
constexpr std::size_t kMaxOutputBytes = 1U << 20U;
constexpr std::uint64_t kMebibyte = 1U << 20U;
constexpr std::uint64_t kMostMebibytes = 1ULL << 32U;  ///< more is no amount of memory, and must not overflow

/// The path of a program in PATH; "" when there is none.
std::string program_in_path(const std::string& name) {
  const char* const variable = std::getenv("PATH");
  std::string_view folders = variable == nullptr ? "" : variable;
  while (!folders.empty()) {
    const auto folder = folders.substr(0, folders.find(':'));
    folders.remove_prefix(std::min(folder.size() + 1, folders.size()));
    std::string path = std::string(folder) + "/" + name;
    struct stat facts {};
    if (folder.starts_with('/') && ::stat(path.c_str(), &facts) == 0 && S_ISREG(facts.st_mode) &&
        ::access(path.c_str(), X_OK) == 0) {
      return path;
    }
  }
  return {};
}

/// What posix_spawn is told: nothing of this process comes along but standard output, and it leads a group of its own.
struct SpawnSettings {
  explicit SpawnSettings(int output) {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    ::posix_spawnattr_init(&attributes);
    sigset_t signals;
    ::sigfillset(&signals);
    ::posix_spawnattr_setsigdefault(&attributes, &signals);
    ::sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes, &signals);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
};

pid_t start(std::string program, int output) {
  std::string query = "--query-compute-apps=pid,used_memory";
  std::string format = "--format=csv,noheader,nounits";
  const std::array<char*, 4> argv{program.data(), query.data(), format.data(), nullptr};
  const SpawnSettings settings(output);
  pid_t pid = 0;
  return ::posix_spawn(&pid, program.c_str(), &settings.actions, &settings.attributes, argv.data(), environ) == 0 ? pid
                                                                                                                  : 0;
}

/// A running nvidia-smi. Ends it, if need be, and leaves it to ChildWatch to be reaped: one that hangs in the driver does not
/// even follow SIGKILL, and nobody waits for it.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) { ChildWatch::know(pid_); }
  ~Child() {
    ::kill(-pid_, SIGKILL);  // not yet reaped, so the group is certainly its own
    ChildWatch::leave(pid_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

 private:
  pid_t pid_;
};

}  // namespace

std::map<pid_t, std::uint64_t> parse_compute_apps(std::string_view text) {
  std::map<pid_t, std::uint64_t> used;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const char* const end = line.data() + line.size();
    pid_t pid = 0;
    std::uint64_t mebibytes = 0;
    const auto number = std::from_chars(line.data(), end, pid);
    const char* at = number.ptr;
    while (at != end && (*at == ',' || *at == ' ')) {
      ++at;
    }
    const bool read = number.ec == std::errc() && std::from_chars(at, end, mebibytes).ec == std::errc();
    if (read && pid > 0 && mebibytes <= kMostMebibytes) {
      used[pid] += mebibytes * kMebibyte;
    }
  }
  return used;
}

struct GpuMemory::Impl {
  explicit Impl(asio::any_io_executor used)
      : executor(std::move(used)), program(program_in_path("nvidia-smi")), done(executor, Timer::time_point::max()) {}

  static asio::awaitable<MemoryAnswer> used_by(std::shared_ptr<Impl> my, std::vector<pid_t> pids);
  asio::awaitable<void> refresh();
  asio::awaitable<std::string> run();
  bool earlier_one_hangs() const;

  asio::any_io_executor executor;
  std::string program;
  Timer done;  ///< never expires: cancelled when a run ends
  bool busy = false;
  bool stopped = false;
  std::shared_ptr<Pipe> reading;
  UniqueFd earlier;  ///< pidfd of the last one
  std::map<pid_t, std::uint64_t> known;
  std::optional<TimePoint> known_since;
};

bool GpuMemory::Impl::earlier_one_hangs() const {
  pollfd ended{earlier.get(), POLLIN, 0};
  return earlier && ::poll(&ended, 1, 0) == 0;
}

asio::awaitable<std::string> GpuMemory::Impl::run() {
  std::array<int, 2> ends{};
  if (earlier_one_hangs() || ::pipe2(ends.data(), O_CLOEXEC) != 0) {
    co_return "";
  }
  reading = std::make_shared<Pipe>(executor, ends[0]);
  UniqueFd theirs(ends[1]);
  const pid_t pid = start(program, theirs.get());
  theirs.reset();
  if (pid == 0) {
    co_return "";
  }
  const Child child(pid);
  earlier.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));
  Timer limit(executor, kTimeLimit);
  limit.async_wait([pipe = reading](const error_code& ec) {
    if (!ec) {
      error_code ignored;
      pipe->cancel(ignored);
    }
  });
  std::string text;
  std::array<char, 4096> buffer;
  error_code ended;
  while (!ended && text.size() <= kMaxOutputBytes) {
    const auto [ec, n] = co_await reading->async_read_some(asio::buffer(buffer), kTok);
    text.append(buffer.data(), n);
    ended = ec;
  }
  co_return ended == asio::error::eof ? text : "";
}

asio::awaitable<void> GpuMemory::Impl::refresh() {
  struct Busy {
    Impl& my;
    explicit Busy(Impl& of) : my(of) { my.busy = true; }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;
    ~Busy() {
      my.busy = false;
      my.reading.reset();
      my.known_since = steady_now();
      my.done.cancel();
    }
  };
  const Busy busy_now(*this);
  known.clear();
  const std::string text = co_await run();
  known = parse_compute_apps(text);
}

asio::awaitable<MemoryAnswer> GpuMemory::Impl::used_by(std::shared_ptr<Impl> my, std::vector<pid_t> pids) {
  while (my->busy && !my->stopped) {
    co_await my->done.async_wait(kTok);
  }
  if (my->program.empty() || my->stopped) {
    co_return std::nullopt;
  }
  if (!my->known_since || steady_now() - *my->known_since >= kKeep) {
    co_await my->refresh();
  }
  MemoryAnswer sum;
  for (const pid_t pid : pids) {
    const auto found = my->known.find(pid);
    if (found != my->known.end() && !my->stopped) {
      sum = sum.value_or(0) + found->second;
    }
  }
  co_return sum;
}

GpuMemory::GpuMemory(asio::any_io_executor executor) : impl_(std::make_shared<Impl>(std::move(executor))) {}
GpuMemory::~GpuMemory() { stop(); }

void GpuMemory::stop() {
  impl_->stopped = true;
  if (impl_->reading) {
    error_code ignored;
    impl_->reading->cancel(ignored);
  }
}

asio::awaitable<std::optional<std::uint64_t>> GpuMemory::used_by(std::vector<pid_t> pids) {
  return Impl::used_by(impl_, std::move(pids));
}

bool GpuMemory::available() const { return !impl_->program.empty(); }

}  // namespace svc::agent
