#include "walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>

namespace wordfreq {

namespace {

struct closed {
  void operator()(DIR* directory) const { closedir(directory); }
};

void add(directory_listing& found, mode_t type, std::string path) {
  switch (type) {
    case S_IFREG: found.files.push_back(std::move(path)); break;
    case S_IFDIR: found.directories.push_back(std::move(path)); break;
    default: ++found.skipped;
  }
}

}  // namespace

int list_directory(const std::string& path, directory_listing& found) {
  const std::unique_ptr<DIR, closed> directory(opendir(path.c_str()));
  if (directory == nullptr) return errno;
  const std::string prefix = path.ends_with('/') ? path : path + '/';
  for (;;) {
    errno = 0;  // readdir returns a null pointer for the end and for an error
    const dirent* entry = readdir(directory.get());
    if (entry == nullptr) return errno;
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    mode_t type = DTTOIF(entry->d_type);
    if (entry->d_type == DT_UNKNOWN) {  // some file systems do not tell
      struct stat status;
      if (fstatat(dirfd(directory.get()), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;  // removed between the two looks
        return errno;
      }
      type = status.st_mode & S_IFMT;
    }
    add(found, type, prefix + entry->d_name);
  }
}

int look_at(const std::string& path, directory_listing& found) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return errno;
  add(found, status.st_mode & S_IFMT, path);
  return 0;
}

}  // namespace wordfreq
