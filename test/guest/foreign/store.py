"""A party's state: one JSON file, bytes in hex, replaced as a whole and synced before anybody goes on (§12)."""
import json
import os

from cryptography.hazmat.primitives import serialization

from cose import new_key


class Store:
    def __init__(self, folder, fresh):
        """@param fresh what a new party holds"""
        self._path = os.path.join(folder, 'state.json')
        self._folder = folder
        os.makedirs(folder, mode=0o700, exist_ok=True)
        try:
            with open(self._path) as file:
                self.data = json.load(file)
        except FileNotFoundError:
            self.data = {'key': _to_pem(new_key()), **fresh}
            self.commit()
        self.key = serialization.load_pem_private_key(self.data['key'].encode(), None)

    def commit(self):
        _replace(self._folder, 'state.json', self.data)

    def show(self, view):
        """What others may see of it, for those who check: view.json, without secrets."""
        _replace(self._folder, 'view.json', view)


def _replace(folder, name, value):
    temporary = os.path.join(folder, f'.{name}')
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 'w') as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, os.path.join(folder, name))
    directory = os.open(folder, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def _to_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
