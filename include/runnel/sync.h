#pragma once
// Synchronisation: Go's package sync for goroutines and plain threads alike. Each class has its own header.

#include "runnel/sync/mutex.h"
#include "runnel/sync/wait_group.h"
