"""The calls of the suite, made by Microsoft's Python client; prints what came of them as one line of JSON."""
import datetime
import json
import sys

from azure.core.exceptions import HttpResponseError
from azure.storage.fileshare import (
    FileSasPermissions, ShareClient, ShareFileClient, ShareServiceClient, generate_file_sas,
)

url, account, key = sys.argv[1:4]
result = {}


def code_of(call):
    try:
        call()
        return None
    except HttpResponseError as error:
        return getattr(error.error_code, "value", error.error_code)


service = ShareServiceClient(f"{url}/{account}", credential={"account_name": account, "account_key": key}, retry_total=0)
share = service.get_share_client("python")
share.create_share(quota=2, metadata={"of": "share"})
result["share"] = [share.get_share_properties().quota, share.get_share_properties().metadata, [one.name for one in service.list_shares(name_starts_with="py")]]

folder = share.create_directory("a folder")
file = folder.get_file_client("file")
content = bytes(range(256)) * 20000
file.upload_file(content, metadata={"of": "file"})
properties = file.get_file_properties()
result["file"] = [properties.size, properties.metadata, file.download_file().readall() == content, file.download_file(offset=10, length=5).readall().hex()]
result["listed"] = [[one.name, one.size] for one in folder.list_directories_and_files()]

ranged = folder.get_file_client("ranged")
ranged.create_file(2049)
ranged.upload_range(b"hello", offset=0, length=5)
snapshot = share.create_snapshot()["snapshot"]
ranged.clear_range(offset=0, length=1024)
ranged.upload_range(b"world", offset=1023, length=5)
result["ranges"] = ranged.get_ranges()
result["diff"] = ranged.get_ranges_diff(previous_sharesnapshot=snapshot)
result["old"] = ShareFileClient(f"{url}/{account}", "python", "a folder/ranged", snapshot=snapshot, credential={"account_name": account, "account_key": key}).download_file(offset=0, length=5).readall().decode()

lease = ranged.acquire_lease()
result["leased"] = [code_of(lambda: ranged.delete_file()), ranged.get_file_properties().lease.state]
lease.release()

in_an_hour = datetime.datetime.utcnow() + datetime.timedelta(hours=1)
sas = generate_file_sas(account, "python", ["a folder", "file"], account_key=key, permission=FileSasPermissions(read=True), expiry=in_an_hour)
reader = ShareFileClient(f"{url}/{account}", "python", "a folder/file", credential=sas, retry_total=0)
result["sas"] = [reader.download_file(offset=0, length=3).readall().hex(), code_of(lambda: reader.delete_file())]

target = folder.get_file_client("copied")
target.create_file(512)
target.upload_range_from_url(f"{url}/{account}/python/a%20folder/file?{sas}", offset=0, length=512, source_offset=256)
result["copied"] = target.download_file().readall() == content[256:768]
result["copy"] = [target.start_copy_from_url(f"{url}/{account}/python/a%20folder/file?{sas}")["copy_status"], target.get_file_properties().copy.progress]

permission = share.create_permission_for_share("O:SYG:SYD:(A;;FA;;;SY)")
result["permission"] = share.get_permission_for_share(permission)
result["handles"] = [len(list(folder.list_handles(recursive=True))), folder.close_all_handles(recursive=True)]
result["absent"] = [code_of(lambda: folder.get_file_client("absent").download_file()), code_of(lambda: service.get_share_client("absent").get_share_properties())]
result["wrong key"] = code_of(lambda: ShareClient(f"{url}/{account}", "python", credential={"account_name": account, "account_key": "AAAA"}, retry_total=0).get_share_properties())
share.delete_share(delete_snapshots=True)
result["deleted"] = code_of(lambda: share.get_share_properties())
print(json.dumps(result))
