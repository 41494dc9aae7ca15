from flask import Flask, request
from werkzeug.utils import secure_filename
import os

app = Flask(__name__)

# the folder where uploads are kept
app.config['UPLOAD_FOLDER'] = 'static/uploads/'
# the extensions that are let in
app.config['ALLOWED_EXTENSIONS'] = {'png', 'jpg', 'jpeg', 'gif'}
app.config['MAX_CONTENT_LENGTH'] = 16 * 1024 * 1024  # 16MB


def allowed_file(filename):
    return '.' in filename and \
        filename.rsplit('.', 1)[1] in app.config['ALLOWED_EXTENSIONS']


@app.route('/upload', methods=['POST'])
def upload():
    upload_file = request.files['image']
    if upload_file and allowed_file(upload_file.filename):
        filename = secure_filename(upload_file.filename)
        # kept in static/uploads, under the name it came with
        upload_file.save(os.path.join(app.root_path, app.config['UPLOAD_FOLDER'], filename))
        return 'info is '+request.form.get('info', '')+'. success'
    else:
        return 'failed'


@app.route('/content', methods=['POST'])
def content():
    file_content = request.files['image'].stream.read()
    return file_content


if __name__ == '__main__':
    app.run(port=5000, debug=True)
