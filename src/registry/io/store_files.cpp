#include "registry/io/store_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

namespace svc::registry {

namespace fs = std::filesystem;

namespace {

constexpr const char* kCompanions[] = {"-wal", "-journal", "-shm"};

Error start_error(std::string message, const std::error_code& why) {
  return Error{Errc::io_error, ErrorSource::self, false, std::move(message), why ? why.message() : std::string()};
}

std::error_code last_system_error() { return {errno, std::generic_category()}; }

Result<void> sync_folder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 && errno == EACCES) return {};  // it may be written and not read: then it cannot be synced either
  if (fd < 0) return start_error("cannot open the folder '" + folder.string() + "'", last_system_error());
  const int outcome = ::fsync(fd);
  const std::error_code why = outcome == 0 ? std::error_code() : last_system_error();
  ::close(fd);
  // Some file systems do not know fsync of a folder; there is nothing better to do there.
  if (outcome != 0 && why.value() != EINVAL && why.value() != ENOTSUP && why.value() != EROFS) {
    return start_error("cannot sync the folder '" + folder.string() + "'", why);
  }
  return {};
}

Result<void> make_folders(const fs::path& folder) {
  std::vector<fs::path> missing;
  std::error_code why;
  for (fs::path at = folder; !at.empty() && !fs::exists(at, why); at = at.parent_path()) {
    if (why) break;
    missing.push_back(at);
    if (at == at.parent_path()) break;
  }
  if (missing.empty() && !why) return {};
  fs::create_directories(folder, why);
  if (why) return start_error("cannot make the folder '" + folder.string() + "' for the state database", why);
  for (const fs::path& made : missing) {
    if (auto synced = sync_folder(made.parent_path()); !synced) return synced.error();
  }
  return {};
}

std::string free_name(const std::string& wanted) {
  std::error_code ignored;
  const auto taken = [&ignored](const std::string& name) {
    if (fs::exists(fs::symlink_status(name, ignored))) return true;
    for (const char* companion : kCompanions) {
      if (fs::exists(fs::symlink_status(name + companion, ignored))) return true;
    }
    return false;
  };
  std::string name = wanted;
  for (int n = 2; taken(name); ++n) name = wanted + "-" + std::to_string(n);
  return name;
}

}  // namespace

std::optional<FileId> file_id(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return std::nullopt;
  return FileId{found.st_dev, found.st_ino};
}

Result<StoreFiles> prepare_store_files(const std::string& path) {
  std::error_code why;
  if (path.empty()) return start_error("the path of the state database is empty", {});
  fs::path full = fs::absolute(path, why);
  if (why) return start_error("cannot find the folder of the state database '" + path + "'", why);
  // SQLite follows a link and keeps its other files beside the target, so the target is what may have to be moved.
  if (const fs::path target = fs::canonical(full, why); !why) full = target;
  if (auto made = make_folders(full.parent_path()); !made) return made.error();

  StoreFiles files;
  files.path = full.string();
  // The log is looked at first: a registry that is just making both has written the database before the log.
  struct stat found {};
  files.has_wal = ::stat((files.path + "-wal").c_str(), &found) == 0 && found.st_size > 0;
  if (::stat(files.path.c_str(), &found) != 0) {
    if (errno == ENOENT) return files;
    return start_error("cannot look at the state database '" + path + "'", last_system_error());
  }
  if (S_ISDIR(found.st_mode)) return start_error("the state database '" + path + "' is a directory", {});
  if (!S_ISREG(found.st_mode)) return start_error("the state database '" + path + "' is not a regular file", {});
  files.empty = found.st_size == 0;
  return files;
}

Result<std::string> move_store_aside(const std::string& path, const std::string& suffix) {
  const std::string target = free_name(path + ".damaged-" + suffix);
  // The database goes first: if the move is cut short, a log without its database is noticed at the next start, while a
  // database without its log would look sound and be older than what was acknowledged.
  if (::rename(path.c_str(), target.c_str()) != 0 && errno != ENOENT) {
    return start_error("cannot move the damaged state database '" + path + "' aside", last_system_error());
  }
  for (const char* companion : kCompanions) {
    if (::rename((path + companion).c_str(), (target + companion).c_str()) != 0 && errno != ENOENT) {
      return start_error("cannot move '" + path + companion + "' of the damaged state database aside",
                         last_system_error());
    }
  }
  if (auto synced = sync_folder_of(path); !synced) return synced.error();
  return target;
}

Result<void> sync_folder_of(const std::string& path) { return sync_folder(fs::path(path).parent_path()); }

}  // namespace svc::registry
