// What an instance uses: open connections at the engine's port, memory of its processes, GPU memory where nvidia-smi exists.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "agent/core/registration.hpp"
#include "agent/io/system_readings.hpp"
#include "common/io/asio_aliases.hpp"

namespace svc::agent {

/// Does not ask for GPU memory, nor the engine. `shim`: the run's shim.
[[nodiscard]] InstanceLoad measure_load(SystemReadings& readings, pid_t shim, std::uint16_t engine_port);

/// All processes of a run, for GpuMemory::used_by(): the ones that use a GPU are often children of the ranks.
[[nodiscard]] std::vector<pid_t> run_processes(SystemReadings& readings, pid_t shim);

/// "PID, MEBIBYTES" a line, as `nvidia-smi --query-compute-apps=pid,used_memory --format=csv,noheader,nounits` prints it: bytes by
/// pid, summed up over the GPUs. Lines that say something else ("[N/A]") are passed over.
[[nodiscard]] std::map<pid_t, std::uint64_t> parse_compute_apps(std::string_view text);

/// GPU memory of processes, as nvidia-smi tells it. One for the whole agent: at most one nvidia-smi runs at a time, for at most 5 s,
/// and its answer serves everybody for 10 s. The program is looked up in PATH once. One thread, the main one: it forks.
class GpuMemory {
 public:
  explicit GpuMemory(asio::any_io_executor executor);
  ~GpuMemory();  ///< after stop(), or when no used_by() is under way
  GpuMemory(const GpuMemory&) = delete;
  GpuMemory& operator=(const GpuMemory&) = delete;

  /// Ends what runs; every used_by() returns soon, without an answer.
  void stop();
  /// Bytes of all these together; nullopt: there is no nvidia-smi, it gave no answer in time, or it knows none of them (in a
  /// container it may see other pids).
  asio::awaitable<std::optional<std::uint64_t>> used_by(std::vector<pid_t> pids);
  [[nodiscard]] bool available() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace svc::agent
