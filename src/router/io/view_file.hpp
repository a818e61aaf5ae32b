// The last view of the registry, kept on disk, so that a router that is started while the registry is down serves at
// once.
//
// The file is replaced whole (written beside, synced, renamed), at most once a second, by a thread of its own: neither
// a slow disk nor 10,000 services hold up the control thread, which all members belong to.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/core/clock.hpp"
#include "common/io/log.hpp"
#include "router/core/upstream.hpp"

namespace svc::router {

class Fleet;

class ViewFile {
 public:
  struct Loaded {
    std::vector<UpstreamSpec> specs;
    Duration age{};  ///< since it was last saved or confirmed, by the calendar; 0 when that lies in the future
  };

  /// STATE_DIR/router_view.json; with state_dir "" nothing is read or written. `registry_url`: the view of another
  /// registry is not used.
  ViewFile(const std::string& state_dir, std::string registry_url);
  ~ViewFile();  ///< stop()
  ViewFile(const ViewFile&) = delete;
  ViewFile& operator=(const ViewFile&) = delete;

  /// Reads the file, for the start. nullopt when there is none, or none that can be used: a damaged one is renamed to
  /// router_view.json.damaged and logged.
  [[nodiscard]] std::optional<Loaded> load();

  /// What the registry says has changed: the next tick() writes.
  void mark_changed() { changed_ = true; }
  /// The registry said that nothing has: the file, which may have been written days ago, is as good as new. Its time of
  /// modification says so, set every ten seconds at most.
  void mark_confirmed() { confirmed_ = true; }
  /// Call every second: hands what is to be written to the thread.
  void tick(const Fleet& fleet);
  /// Writes what tick() was not yet asked for, waits for the thread and ends it.
  void stop(const Fleet& fleet);
  void stop();

 private:
  class Writer;

  std::string folder_;
  std::string path_;
  std::string registry_url_;
  bool changed_ = false;
  bool confirmed_ = false;
  bool written_ = false;  ///< there is a file that is worth confirming
  TimePoint confirmed_at_{};
  bool stopped_ = false;
  Logger log_{"discovery"};
  std::unique_ptr<Writer> writer_;
};

}  // namespace svc::router
